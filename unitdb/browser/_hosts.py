"""Who may ask: this machine, under its own names.

A page of a stranger can have its name point to this machine (DNS rebinding), and would then read
what the pages show; its requests carry its name as ``Host`` and ``Origin``.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["HOSTS_VARIABLE", "OwnHosts", "middleware"]

HOSTS_VARIABLE = "UNITDB_HOSTS"
"""Environment variable: names, with commas, that the pages are served under to other machines."""

_OWN = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://(.+)")


def middleware() -> list[Middleware]:
    """Give what keeps other machines and other names away, for ``st.App``."""
    from starlette.middleware import Middleware

    return [Middleware(OwnHosts)]


class OwnHosts:
    """ASGI middleware that answers requests for own names, from this machine, and no other.

    Parameters
    ----------
    app : ASGI application
        What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 403."""
        if scope["type"] not in {"http", "websocket"} or _is_own(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            from starlette.responses import PlainTextResponse

            text = f"unitdb answers this machine only; {HOSTS_VARIABLE} names other hosts\n"
            await PlainTextResponse(text, status_code=403)(scope, receive, send)


def _is_own(scope: Scope) -> bool:
    named = {name.strip().lower() for name in os.environ.get(HOSTS_VARIABLE, "").split(",")} - {""}
    headers = scope["headers"]
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
    asked = [_ORIGIN.fullmatch(origin.lower()) for origin in origins]
    hosts += [match[1] if match else "" for match in asked]
    if not hosts or not all(_name(host) in _OWN | named for host in hosts):
        return False
    client = scope.get("client")
    return bool(named) or client is None or _is_loopback(client[0])


def _name(host: str) -> str:
    found = _HOST.fullmatch(host.lower())
    return found[1] if found else ""


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)

"""Programs that hang are stopped: none may show no sign of work for ten minutes.

Transfers may take days, silently, so the time that a program takes tells nothing. On Linux a sign
is time on a processor, or bytes read or written, of the program or any that it has started. Other
systems do not say; there a program may take a day. By hand, as the core install has no psutil.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitdb.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SECONDS", "watched"]

SECONDS = 600.0 if sys.platform == "linux" else 86400.0
"""Without a sign of work, after which a program is stopped."""
_SECONDS_BETWEEN = 2.0
_SECONDS_TO_END = 5.0


@contextmanager
def watched(process: subprocess.Popen[Any], name: str) -> Iterator[None]:
    """Wait for a program in the block, which ends when it shows no sign of work for too long.

    Parameters
    ----------
    process : subprocess.Popen
        The program; what it has started is stopped with it.
    name : str
        What it is called, for the message.

    Raises
    ------
    ProgramError
        It was stopped; says how long it was waited for.
    """
    ended, stopped = threading.Event(), threading.Event()

    def look() -> None:
        last: dict[int, tuple[str, ...]] = {}  # most programs end before the first look
        since = time.monotonic()
        while not ended.wait(min(_SECONDS_BETWEEN, SECONDS)):
            now = _signs(process.pid)
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > SECONDS and process.poll() is None:
                stopped.set()
                _stop(process)
                return

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
        if stopped.is_set():
            raise ProgramError(f"{name}: stopped after {SECONDS:,.0f} s without a sign of work")


def _signs(pid: int) -> dict[int, tuple[str, ...]]:
    """What processes have used and moved so far, of a program and all that it has started."""
    return {one: (*_stat(one)[11:15], *_moved(one)) for one in _tree(pid)}


def _tree(pid: int) -> list[int]:
    """A process and all that descend from it, where the system says so."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        stat = _stat(int(path.name))
        if stat:
            parents.setdefault(int(stat[1]), []).append(int(path.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat behind the name: state, parent, …, times from the twelfth on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _moved(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/io").read_text().split()
    except OSError:
        return []


def _stop(process: subprocess.Popen[Any]) -> None:
    """Ask a program to end with all that it has started, and end what does not."""
    started = {pid: _stat(pid)[19:20] for pid in _tree(process.pid)}  # ids may be given again
    # Windows has no SIGKILL; its SIGTERM leaves no choice.
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        for pid, since in started.items():
            if pid != process.pid and since and _stat(pid)[19:20] == since:
                with suppress(OSError):
                    os.kill(pid, number)
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)

"""Check something while something else is checked."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Beside"]


class Beside:
    """Runs one check at a time in a thread of its own.

    What a check raises is raised by the next call of :meth:`run` or :meth:`wait`, or at the end of
    the block; there before what the block itself raises, as it was found in what came earlier.

    Examples
    --------
    >>> from unitdb.verification.reading._beside import Beside
    >>> found = []
    >>> with Beside() as beside:
    ...     beside.run(found.append, 1)
    ...     beside.run(found.append, 2)
    >>> found
    [1, 2]
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def run(self, check: Callable[..., None], *given: Any) -> None:
        """Start a check once the last one has ended."""
        self.wait()
        self._running = self._pool.submit(check, *given)

    def wait(self) -> None:
        """Wait for the check that runs, and raise what it raises."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wait()
        finally:
            self._pool.shutdown()

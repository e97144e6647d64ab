"""Who decodes the blocks: threads of this process, or the workers of a Dask cluster."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.resource_tracker import ensure_running
from typing import TYPE_CHECKING, Protocol, TypeVar

from unitdb.errors import MemoryBudgetError, WorkersError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Run", "memory_of_thread", "n_threads", "open_workers"]

T = TypeVar("T")
R = TypeVar("R")


class Run(Protocol):
    """Calls a function on each item, and gives the results as they come."""

    def __call__(self, function: Callable[[T], R], items: Sequence[T], /) -> Iterator[R]:
        """Results in any order."""


_MOST_WORKERS, _OF_A_CORE = 64, 4  # one of these, the larger: each has a thread, and 0.2 GB
_SECONDS_TO_CONNECT = 20
_SECONDS_WITHOUT_WORKERS = 300.0
_SECONDS_TO_START = 300
_SECONDS_TO_ASK = 1.0
_SECONDS_TO_PAUSE = 0.02

_DASK_SETTINGS = {
    # Silence is the program's own: results and errors come back, its log would cut through bars.
    "distributed.logging.distributed": "critical",
    # Dask would have malloc give memory back at once: a third of the time went to getting it again.
    "distributed.nanny.pre-spawn-environ": {
        f"{library}_NUM_THREADS": 1 for library in ("OMP", "MKL", "OPENBLAS")
    },
}


def memory_of_thread(memory: str, *, workers: int | None, scheduler: str | None) -> int:
    """Bytes that a decoding thread may use, where its process may use ``memory``, as in 2GB.

    Raises
    ------
    MemoryBudgetError
        It is no number of bytes.
    WorkersError
        There are none, or more workers than this machine can be asked for.
    """
    from dask.utils import parse_bytes

    _check_number(workers)
    try:
        n_bytes = int(parse_bytes(memory))
    except (ValueError, OverflowError):  # too many digits are infinitely many
        raise MemoryBudgetError(
            f"memory: {memory!r} is no number of bytes; write it as in 2GB"
        ) from None
    return n_bytes // (n_threads() if workers is None and scheduler is None else 1)


def n_threads() -> int:
    """Count the threads that decode in this process where no workers are asked for."""
    return os.cpu_count() or 1


def _check_number(workers: int | None) -> None:
    """Raise WorkersError unless so many processes can be started without harm."""
    most = max(_MOST_WORKERS, _OF_A_CORE * n_threads())
    if workers is not None and not 1 <= workers <= most:
        few = f"there must be at least 1 and at most {most} on this machine"
        raise WorkersError(f"workers: {few} (got {workers})")


@contextmanager
def open_workers(*, workers: int | None = None, scheduler: str | None = None) -> Iterator[Run]:
    """Open workers; all give the same results.

    Parameters
    ----------
    workers : int, optional
        Processes on this machine, each with one thread. None takes threads of this process, as
        many as there are cores.
    scheduler : str, optional
        Address of a running Dask scheduler, such as ``tcp://10.0.0.1:8786``. Its workers must see
        the folders of the build, and have the same versions installed.

    Raises
    ------
    WorkersError
        There are too many or none; no scheduler answers; workers do not start; one died again and
        again, or all did and none came back.
    """
    _check_number(workers)
    if workers is not None and scheduler is not None:
        raise WorkersError("give a number of workers or a scheduler, not both")
    if workers is None and scheduler is None:
        with ThreadPoolExecutor(n_threads()) as pool:

            def run(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
                futures = [pool.submit(function, item) for item in items]
                try:
                    for future in as_completed(futures):
                        yield future.result()
                finally:
                    for future in futures:
                        future.cancel()

            yield run
        return
    with _client(workers, scheduler) as client:
        yield partial(_run_on, client)


@contextmanager
def _client(workers: int | None, scheduler: str | None) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set(_DASK_SETTINGS):
        if scheduler is not None:
            try:
                client = Client(scheduler, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as cause:
                raise WorkersError(f"no Dask scheduler answers at {scheduler}: {cause}") from None
            with client:
                yield client
            return
        options = {
            "n_workers": workers,
            "threads_per_worker": 1,
            "processes": True,
            # A free port: None would ask for 8787, which another build may have.
            "dashboard_address": "127.0.0.1:0",
            "memory_limit": 0,
            "silence_logs": 50,
            "death_timeout": _SECONDS_TO_START,
        }
        with ExitStack() as opened:
            try:
                with _interrupted_later():
                    cluster = opened.enter_context(_uninterrupted(partial(LocalCluster, **options)))
                    client = opened.enter_context(Client(cluster, set_as_default=False))
            except (RuntimeError, OSError, TimeoutError) as cause:
                raise WorkersError(
                    f"{workers} workers cannot be started: {_first_cause(cause)}"
                ) from None
            yield client


def _uninterrupted(make: Callable[[], R]) -> R:
    """Call a function in a thread that Ctrl-C does not reach, nor any process that it starts.

    A terminal interrupts workers too, and their tracebacks would stand in it.
    """
    with ThreadPoolExecutor(1) as pool:
        if os.name == "nt":
            return pool.submit(make).result()
        ensure_running()  # which would let the signal through to the first process
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            future = pool.submit(make)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return future.result()


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Hold Ctrl-C back until workers have started, which could not be closed half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _first_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


def _run_on(client: Client, function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    from distributed import KilledWorker, as_completed as completed

    futures = client.map(function, items, pure=False)
    done, waiting = completed(futures, loop=client.loop), _Waiting(client)
    try:
        while not done.is_empty():
            if not done.has_ready():
                waiting.pause()
                continue
            future = next(done)
            try:
                yield future.result()
            except KilledWorker as cause:
                raise WorkersError(
                    f"workers died again and again on the same block ({cause}); too little "
                    "memory? Lower --memory"
                ) from None
            future.release()
    finally:
        client.cancel(futures)


class _Waiting:
    """Waits for results, as long as there is anybody to give them.

    Dask itself waits for ever where all workers have died and none comes back.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asked = self._seen = time.monotonic()

    def pause(self) -> None:
        """Wait a moment; WorkersError where no worker has been there for too long."""
        time.sleep(_SECONDS_TO_PAUSE)
        now = time.monotonic()
        if now - self._asked < _SECONDS_TO_ASK:
            return
        if self._has_workers():
            self._seen = time.monotonic()
        elif now - self._seen > _SECONDS_WITHOUT_WORKERS:
            raise WorkersError(
                f"no worker has been there for {_SECONDS_WITHOUT_WORKERS:.0f} s: all workers died "
                "and none came back, or none was started, or the scheduler is gone; start the "
                "build again to go on from here"
            )
        self._asked = time.monotonic()

    def _has_workers(self) -> bool:
        try:
            scheduler = self._client.scheduler
            return scheduler is not None and bool(
                self._client.sync(scheduler.ncores, callback_timeout=_SECONDS_TO_CONNECT)
            )
        except (OSError, TimeoutError):
            return False  # the scheduler is gone, or too busy to say

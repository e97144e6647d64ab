"""SQL in a process of its own, so that no query takes the memory of the process that asks.

DuckDB's own limit counts what a query sorts, joins and groups, not the values that it gives: a
thousand texts of ten megabytes pass it. The system's limit of the process counts all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from unitdb.errors import QueryError, UnitdbError
from unitdb.query.sandbox import memory_bytes, run_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["main", "run_apart"]

_ALONE = 400 * 10**6  # what the process takes without a query, and to spare
_SHARE = 4  # of the memory, that a result may be
_THREADS = 4  # of DuckDB: each has a stack, an arena of malloc and buffers, which all count
# What else would reserve memory by the number of cores, in each process that is started.
_FEW_THREADS = {
    "OMP_NUM_THREADS": "1",  # Arrow's too
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
_REFUSED = 3  # exit code: what stands in stderr is the error's message
_SECONDS = 30.0  # to start
# What Python, Arrow, C++ and the loader say where the system gives no more, and threads where there
# is no room for their stacks.
_NO_MEMORY = re.compile(r"MemoryError|bad_alloc|[Oo]ut of memory|alloc|start new thread")


def run_apart(
    location: str,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    memory: str,
    timeout: float | None = None,
    limit: int | None = None,
) -> pa.Table:
    """Run one reading statement over a release in a process of its own.

    Parameters
    ----------
    location : str
        Folder or address of the release.
    sql, parameters, timeout, limit
        As of :func:`unitdb.query.sandbox.run_sql`; values of parameters are numbers and texts.
    memory : str
        What the query may take, as in ``512MB``; a quarter of it what its result may be.

    Raises
    ------
    QueryError
        The statement does not only read, is not valid, takes longer or needs more memory.
    """
    memory_bytes(memory)
    asked = {
        "location": location,
        "sql": sql,
        "parameters": parameters,
        "limit": limit,
        "memory": memory,
        "timeout": timeout,
    }
    environment = os.environ | _FEW_THREADS
    try:
        done = subprocess.run(  # noqa: S603 - this package, with its input on stdin
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
            input=json.dumps(asked).encode(),
            capture_output=True,
            env=environment,
            timeout=None if timeout is None else timeout + _SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise QueryError(f"the query took longer than {timeout:g} s") from None
    if done.returncode == _REFUSED:
        raise QueryError(done.stderr.decode(errors="replace"))
    if done.returncode:
        raise QueryError(_why_ended(done.returncode, done.stderr.decode(errors="replace"), memory))
    return pa.ipc.open_stream(done.stdout).read_all()


def _why_ended(code: int, said: str, memory: str) -> str:
    """Say why the process ended without an answer: mostly, the system let it have no more."""
    if _NO_MEMORY.search(said):
        return f"the query needs more memory than {memory}"
    if code < 0:
        ended = f"the process of the query was ended by signal {-code}"
        return f"{ended}: it may need more memory than {memory}"
    lines = said.strip().splitlines() or [f"exit code {code}"]
    return f"the process of the query failed: {lines[-1]}"


def main() -> None:
    """Run what is asked on stdin, and write the result to stdout as an Arrow stream."""
    from unitdb.release.tables import Tables

    asked = json.load(sys.stdin)
    memory = asked.pop("memory")
    try:
        threads = min(_THREADS, os.cpu_count() or 1)
        with Tables(asked.pop("location")).connect(memory=memory, threads=threads) as connection:
            _limit_memory(_ALONE + 2 * memory_bytes(memory))
            found = run_sql(
                connection,
                asked["sql"],
                asked["parameters"],
                timeout=asked["timeout"],
                limit=asked["limit"],
            )
        if found.nbytes > memory_bytes(memory) // _SHARE:
            raise QueryError(
                f"the result takes {found.nbytes / 1e6:,.0f} MB, more than a quarter of {memory}"
            )
        with pa.ipc.new_stream(sys.stdout.buffer, found.schema) as writer:
            writer.write_table(found)
        sys.stdout.flush()
    except UnitdbError as error:
        sys.stderr.write(str(error))
        sys.stderr.flush()
        os._exit(_REFUSED)  # at once, whatever still runs
    os._exit(0)


def _limit_memory(n_bytes: int) -> None:
    """Let this process have so much and no more, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))

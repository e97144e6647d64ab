"""Builds on workers: the same bytes whatever their number, and whatever happens to them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from types import ModuleType

import dask
import psutil
import pytest
from distributed import LocalCluster

from tests.pipeline.small import contents, edit, run
from unitdb.errors import MemoryBudgetError, ResponsesError, WorkersError
from unitdb.pipeline import plan
from unitdb.predictions.workers import open_workers


@pytest.fixture(autouse=True)
def _main_module(monkeypatch):
    """Streamlit's tests leave a script of theirs as ``__main__``, which new processes would run."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))


def decoding_processes(pid=None):
    """Processes that decode for one, this one by default."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):  # it has ended
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it ends just now
                if "--multiprocessing-fork" in child.cmdline():
                    found.append(child)
    return found


def test_two_processes_give_the_same_bytes_though_one_is_killed(recipe, built):
    killed = []

    def progress(step, done, total):
        if step.startswith("decode") and not killed:
            killed.append(decoding_processes()[0])
            os.kill(killed[0].pid, signal.SIGKILL)

    assert contents(run(recipe, workers=2, progress=progress)) == contents(built)
    assert killed
    assert not decoding_processes()


@pytest.fixture
def scheduler(tmp_path):
    """Address of a running Dask cluster that knows nothing of the build."""
    port = 8700 + os.getpid() % 1000
    address = f"tcp://127.0.0.1:{port}"
    scheduling = ["dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    working = ["dask_worker", address, "--nthreads", "2", "--no-nanny"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *options, "--no-dashboard"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
        )
        for module, *options in (scheduling, working)
    ]
    yield address
    for process in reversed(processes):
        process.terminate()
        process.wait(20)


@pytest.mark.slow
def test_a_running_cluster_gives_the_same_bytes(recipe, built, scheduler):
    assert contents(run(recipe, scheduler=scheduler)) == contents(built)


def test_no_scheduler_is_one_error(recipe, monkeypatch):
    monkeypatch.setattr("unitdb.predictions.workers._SECONDS_TO_CONNECT", 0.3)
    with pytest.raises(WorkersError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1:"):
        run(recipe, scheduler="tcp://127.0.0.1:1")
    assert not (recipe.parent / "releases" / "small").exists()


@pytest.mark.robust(
    "bounds",
    given="`--workers 100000`, or `--memory` of 400 digits",
    before="a hundred thousand processes were started; `OverflowError`, a traceback",
    now="refused before anything is read: 64 workers or four for each core, whichever is more, are "
    "the most",
)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 1, "scheduler": "tcp://127.0.0.1:1"}, WorkersError, "not both"),
        ({"workers": 0}, WorkersError, "at least 1"),
        ({"workers": 100_000}, WorkersError, r"at most \d+ on this machine .got 100000"),
        ({"memory": f"{10**400}GB"}, MemoryBudgetError, "0GB' is no number of bytes"),
        ({"memory": "much"}, MemoryBudgetError, "'much' is no number of bytes"),
        ({"memory": "1MB"}, MemoryBudgetError, "too little for .* voxels .* are needed"),
    ],
)
def test_bad_options_are_refused(options, error, message, recipe):
    with pytest.raises(error, match=message):
        run(recipe, **options)
    assert not (recipe.parent / "releases" / "small").exists()


@pytest.mark.parametrize("workers", [0, 100_000])
def test_too_many_workers_are_refused(workers, recipe):
    with pytest.raises(WorkersError, match="at least 1 and at most"), open_workers(workers=workers):
        pass
    with pytest.raises(WorkersError, match="at least 1 and at most"):
        plan(recipe, releases=recipe.parent / "releases", workers=workers)


def test_an_error_of_a_worker_is_the_error_of_the_build(recipe):
    edit(recipe, "alpha: 10", "alpha: 0")
    edit(recipe, "voxels: 10", "voxels: 15")  # more than samples
    with pytest.raises(ResponsesError, match=r"mine/sub-.*unit mynet/.* has no stable solution"):
        run(recipe)


def test_dying_workers_are_named(monkeypatch):
    # On a busy machine the worker may not come back in time, which is said too.
    monkeypatch.setattr("unitdb.predictions.workers._SECONDS_WITHOUT_WORKERS", 30)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        open_workers(workers=1) as run_on,
        pytest.raises(WorkersError, match="workers died"),
    ):
        list(run_on(os._exit, [1]))


@pytest.mark.robust(
    "bounds",
    given="workers that died and do not come back, or a Dask scheduler without any",
    before="the build waits for ever",
    now="one error after 300 s; what is done is kept, and the next build goes on from it",
)
def test_workers_that_do_not_come_back_are_not_waited_for(monkeypatch):
    monkeypatch.setattr("unitdb.predictions.workers._SECONDS_WITHOUT_WORKERS", 0.1)
    monkeypatch.setattr("unitdb.predictions.workers._SECONDS_TO_ASK", 0.1)
    with (
        LocalCluster(
            n_workers=0, processes=False, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as cluster,
        open_workers(scheduler=cluster.scheduler_address) as run_on,
        pytest.raises(WorkersError, match="no worker has been there for 0 s"),
    ):
        list(run_on(len, ["ab"]))


def test_other_code_is_refused(recipe, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("unitdb.predictions.decode.code_sha256", lambda: "of another version")
        with pytest.raises(WorkersError, match="another version of unitdb"):
            run(recipe)


def test_a_plan_counts_what_is_built(recipe):
    folder = recipe.parent
    started = time.monotonic()
    (found,) = plan(recipe, data=folder, releases=folder / "releases")
    elapsed = time.monotonic() - started
    assert (found.dataset, found.model) == ("mine", "mynet")
    assert (found.n_layers, found.n_units, found.n_subjects, found.n_rois) == (2, 42, 3, 2)
    assert found.n_accuracies == 3 * 2 * 42
    assert found.n_blocks == 3 * 2 * 2
    assert found.activations_bytes == 4 * 22 * 42
    assert 0 < found.seconds < elapsed
    assert not (folder / "releases" / "small").exists()


def wait_for_workers(process):
    """Return when a command has started processes that decode."""
    deadline = time.monotonic() + 300
    while not decoding_processes(process.pid):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no worker starts"
        time.sleep(0.05)


COMMAND = """
import multiprocessing, sys, time
from multiprocessing import resource_tracker
import click
from unitdb.predictions.workers import open_workers
from unitdb.cli.lazy import Commands

@click.command()
def work():
    with open_workers(workers=2) as run:
        print(list(run(time.sleep, [300])))

if __name__ == "__main__":
    if len(sys.argv) > 1:
        resource_tracker.ensure_running()
        multiprocessing.set_executable(sys.argv[1])
    Commands(commands={"work": work}).main(["work"])
"""


@pytest.mark.slow
@pytest.mark.robust(
    "bounds",
    given="Ctrl-C while workers start, which a terminal sends to them too; workers that do not "
    "start",
    before="43 to 118 lines of tracebacks",
    now="`interrupted` and exit code 130 when they have started; one error and exit code 2",
)
@pytest.mark.parametrize("fails", [False, True])
def test_what_happens_while_workers_start_is_one_line(tmp_path, fails):
    (tmp_path / "work.py").write_text(COMMAND)
    command = [sys.executable, str(tmp_path / "work.py"), *([shutil.which("false")] * fails)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            if not fails:
                wait_for_workers(process)
                os.killpg(process.pid, signal.SIGINT)
            out, said = process.communicate(timeout=300)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if fails:
        assert (process.returncode, out) == (2, "")
        (line,) = said.splitlines()
        assert line.startswith("unitdb: error: 2 workers cannot be started: Nanny")
    else:
        assert (process.returncode, out, said) == (130, "", "unitdb: interrupted\n")

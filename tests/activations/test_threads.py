"""Values do not depend on how many threads there are, nor do networks meet in them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
import torch
from torch import nn

from tests.activations.conftest import SOURCE, make_stimuli, write_model
from unitdb.activations import UnitSelection, extract, load_model
from unitdb.activations.threads import network_copies, one_thread, run_in_threads

ALL = UnitSelection(sample=None)

EXTRACTED = """
import hashlib, sys
from pathlib import Path
from unitdb.activations import *

names = tuple(PHOTOGRAPHS)[:6]
store = extract(
    load_model(get_model("efficientnet-lite0")),
    Stimuli(names, names, lambda index: photograph(names[index])),
    folder=Path(sys.argv[1]), units=UnitSelection(sample=300), batch_size=3,
)
for path in sorted(store.folder.iterdir()):
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_the_same_bytes_with_one_thread_and_two(tmp_path):
    found = []
    for n_threads in ("1", "2"):
        process = subprocess.run(
            [sys.executable, "-c", EXTRACTED, str(tmp_path / n_threads)],
            env={**os.environ, "OMP_NUM_THREADS": n_threads},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(process.stdout.splitlines())
    assert len(found[0]) == 39  # two files a layer, and the description
    assert found[0] == found[1]


def test_one_thread_is_restored_also_after_an_error(two_threads):
    def fail() -> None:
        with one_thread() as before:
            assert before == 2
            assert torch.get_num_threads() == 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == 2


def test_tasks_run_at_once_in_one_thread_each_and_come_in_order(two_threads):
    both = threading.Barrier(2, timeout=30)

    def task(network: nn.Module, item: int) -> tuple[int, int, int]:
        both.wait()  # broken unless two run at once
        if item % 2 == 0:
            time.sleep(0.02)
        return item, torch.get_num_threads(), id(network)

    network = nn.Linear(2, 2)
    found = list(run_in_threads(network, task, range(8), n_items=8))
    assert [item for item, _, _ in found] == list(range(8))
    assert {n_threads for _, n_threads, _ in found} == {1}
    assert len({place for _, _, place in found}) == 2
    assert torch.get_num_threads() == 2


def test_few_items_are_taken_ahead(two_threads):
    taken, finished = [], []

    def items():
        for item in range(20):
            taken.append(item)
            assert len(taken) - len(finished) <= 4
            yield item

    for item in run_in_threads(nn.Identity(), lambda _, item: item, items(), n_items=20):
        assert item == len(finished)
        finished.append(item)
    assert len(taken) == len(finished) == 20


def test_an_error_in_a_thread_is_raised(two_threads):
    def task(_: nn.Module, item: int) -> float:
        return 1 / (3 - item)

    with pytest.raises(ZeroDivisionError):
        list(run_in_threads(nn.Identity(), task, range(9), n_items=9))
    assert torch.get_num_threads() == 2


def test_copies_share_parameters_and_nothing_else():
    network = nn.BatchNorm2d(3)
    first, second = network_copies(network, 2)
    assert first is network
    assert second.weight is first.weight
    assert second.running_mean is not first.running_mean


def keeps_hook(network: nn.Module) -> None:
    network.register_forward_hook(lambda *_: None)


def keeps_variable(network: nn.Module) -> None:
    network.function = lambda: network


def keeps_lock(network: nn.Module) -> None:
    network.lock = threading.Lock()


def keeps_graph(network: nn.Module) -> None:
    network.last = network.weight * 2


@pytest.mark.parametrize("change", [keeps_hook, keeps_variable, keeps_lock, keeps_graph])
def test_what_may_be_shared_is_not_copied(change):
    network = nn.Linear(2, 2)
    change(network)
    assert network_copies(network, 2) == [network]


KEEPER = SOURCE.replace(
    "x = self.conv2(self.relu(self.conv1(x)))",
    "self.kept = self.conv1(x); import time; time.sleep(0.01); x = self.conv2(self.kept.relu())",
)
BY_HOOK = SOURCE.replace(
    "self.relu = nn.ReLU(inplace=True)",
    "self.kept = kept = {}; self.conv1.register_forward_hook(lambda m, i, o: kept.update(x=o))",
).replace(
    "x = self.conv2(self.relu(self.conv1(x)))",
    "self.conv1(x); import time; time.sleep(0.01); x = self.conv2(self.kept['x'].relu())",
)


@pytest.mark.parametrize("source", [KEEPER, BY_HOOK], ids=["in the module", "by a hook"])
def test_networks_that_keep_something_during_a_pass(tmp_path, two_threads, source):
    stimuli = make_stimuli(12)
    plain = load_model(write_model(tmp_path), folder=tmp_path)
    expected = extract(plain, stimuli, folder=tmp_path / "s", units=ALL, batch_size=2)
    keeping = load_model(write_model(tmp_path, source), folder=tmp_path)
    found = extract(keeping, stimuli, folder=tmp_path / "s", units=ALL, batch_size=2)
    assert found.key != expected.key
    for layer in found.layers:
        n = found.n_units(layer)
        assert (found.block(layer, 0, n) == expected.block(layer, 0, n)).all()

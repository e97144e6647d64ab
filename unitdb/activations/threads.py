"""Threads: sums in torch depend on how many share them, so every pass runs in one.

Cores are used by running several batches at once instead.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from types import FunctionType
from typing import TypeVar

import torch
from torch import nn

__all__ = ["network_copies", "one_thread", "run_in_threads"]

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def one_thread() -> Iterator[int]:
    """Let torch compute in one thread here; gives and restores how many it had.

    The setting is one of the calling thread: threads started inside need one of their own.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def run_in_threads(
    network: nn.Module,
    task: Callable[[nn.Module, T], R],
    items: Iterable[T],
    *,
    n_items: int,
) -> Iterator[R]:
    """Results of ``task(network, item)`` in order, as many computed at once as torch has threads.

    Each is computed in one thread, with a network that no other uses meanwhile.

    Parameters
    ----------
    network : torch.nn.Module
        The network; tasks get it or a copy that shares its parameters.
    task : callable
        What is done.
    items : iterable
        Taken in the calling thread, at most one more than are being worked on.
    n_items : int
        How many there are.
    """
    with one_thread() as n_threads:
        networks = network_copies(network, min(n_threads, n_items))
        idle: SimpleQueue[nn.Module] = SimpleQueue()
        for each in networks:
            idle.put(each)

        def run(item: T) -> R:
            mine = idle.get()
            try:
                return task(mine, item)
            finally:
                idle.put(mine)

        pending: deque[Future[R]] = deque()
        with ThreadPoolExecutor(len(networks), "unitdb", torch.set_num_threads, (1,)) as pool:
            for item in items:
                if len(pending) > len(networks):
                    yield pending.popleft().result()
                pending.append(pool.submit(run, item))
            while pending:
                yield pending.popleft().result()


def network_copies(network: nn.Module, n: int) -> list[nn.Module]:
    """Networks that may run at the same time: ``network`` and copies that share its parameters.

    What a module keeps between or within passes is its own in each. A network that may keep
    something elsewhere (hooks, functions with variables of their own) is not copied, nor is one
    that cannot be.

    Parameters
    ----------
    network : torch.nn.Module
        The network.
    n : int
        How many are wanted, at least 1.

    Returns
    -------
    list of torch.nn.Module
        ``n`` networks, or ``network`` alone.
    """
    if n == 1 or not all(map(_keeps_to_itself, network.modules())):
        return [network]
    try:
        return [network, *(_copy(network) for _ in range(n - 1))]
    except (RuntimeError, TypeError):  # holds a tensor of a graph, a lock, an open file
        return [network]


def _copy(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network, {id(parameter): parameter for parameter in network.parameters()})


def _keeps_to_itself(module: nn.Module) -> bool:
    # A copied function still sees the variables of the original.
    return not (
        module._forward_hooks
        or module._forward_pre_hooks
        or any(isinstance(v, FunctionType) and v.__closure__ for v in vars(module).values())
    )

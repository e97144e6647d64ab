"""Ways to decode a problem that can be timed: the engine's, and those of the other decoders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Literal, Protocol

import numpy as np
from _data import ALPHA, KEPT, Problem
from _peer_process import PeerProcess
from numpy.typing import NDArray

from unitdb.decoding import DecoderSettings, RoiDecoder

__all__ = ["CORES", "Ours", "Peer", "Sample", "Way"]

CORES = 2

_SETTLE_SECONDS = 0.1  # BLAS threads spin for a while after their last product
_STEP = 512  # two tiles of the engine, one a core
_FEW_UNITS = 8
_LEAST_UNITS = 256  # where what is shared is subtracted: it must not be most of the time


@dataclass(frozen=True)
class Sample:
    """One measurement, in seconds.

    Attributes
    ----------
    n_units : int
    setup : float
        What is done once a ROI: making the RoiDecoder, or a fit and prediction of one unit.
    decode : float
        The engine: raw activations → accuracies, its decoder made. Others: fit and predict.
    whole : float
        Raw responses and activations → accuracies, everything included.
    rate : float
        Units a second; where each unit is fitted by itself, without what is done once a ROI.
    """

    n_units: int
    setup: float
    decode: float
    whole: float
    rate: float

    @property
    def whole_rate(self) -> float:
        """Units a second, everything included."""
        return self.n_units / self.whole


class Way(Protocol):
    """Something to be timed again and again."""

    name: str

    def measure(self) -> Sample:
        """Time it once."""

    def accuracies(self) -> NDArray[np.float64]:
        """Of the first units; as many as were timed."""


class Ours:
    """The engine.

    Parameters
    ----------
    problem : Problem
    precision : {'single', 'double'}
    seconds : float
        How long a measurement should take.
    """

    def __init__(
        self, problem: Problem, precision: Literal["single", "double"], seconds: float
    ) -> None:
        self.name = f"unitdb {precision}"
        self._problem = problem
        self._settings = DecoderSettings(n_voxels=KEPT, alpha=ALPHA, precision=precision)
        self._decoder = self._make()
        self._decode(_STEP)  # compiles
        rate = _STEP / self._decode(_STEP)[0]
        most = problem.y.shape[1]
        self.n_units = min(most, _STEP * max(1, round(rate * seconds / _STEP)))
        spent, self._r = self._decode(self.n_units)
        self._repeats = max(1, math.ceil(seconds / spent)) if self.n_units == most else 1

    def measure(self) -> Sample:
        """Time making the decoder, then decoding."""
        sleep(_SETTLE_SECONDS)
        start = perf_counter()
        self._decoder = self._make()
        setup = perf_counter() - start
        sleep(_SETTLE_SECONDS)
        spent = [self._decode(self.n_units)[0] for _ in range(self._repeats)]
        decode = sum(spent) / len(spent)
        return Sample(self.n_units, setup, decode, setup + decode, self.n_units / decode)

    def accuracies(self) -> NDArray[np.float64]:
        """Of the units that are timed."""
        return self._r

    def _make(self) -> RoiDecoder:
        return RoiDecoder(self._problem.x, self._problem.splits, self._settings)

    def _decode(self, n_units: int) -> tuple[float, NDArray[np.float64]]:
        y = self._problem.y[:, :n_units]
        start = perf_counter()
        r = self._decoder.accuracy(y, n_jobs=CORES)
        return perf_counter() - start, r


class Peer:
    """One of the other decoders.

    Parameters
    ----------
    process : PeerProcess
        With the problem loaded.
    name : str
        One of its ways.
    seconds : float
        How long a measurement should take, beyond what is done once.
    """

    def __init__(self, process: PeerProcess, name: str, problem: Problem, seconds: float) -> None:
        self.name = name
        self._process = process
        together = problem.n_voxels <= KEPT  # all units in one fit
        self._shares = not together and name.startswith("fastl2lir")  # XᵀX, once a fit
        self.n_units = problem.y.shape[1] if together else self._calibrated(seconds)
        self._r = process.run(name, self.n_units)[1]

    def measure(self) -> Sample:
        """Time one unit, which is what is done once a ROI, then many."""
        sleep(_SETTLE_SECONDS)
        once = self._once()
        sleep(_SETTLE_SECONDS)
        many = self._seconds_of(self.n_units)
        decode = many["decode"]
        rate = self.n_units / decode
        if self._shares and decode > once:
            rate = (self.n_units - 1) / (decode - once)
        return Sample(self.n_units, once, decode, many["whole"], rate)

    def accuracies(self) -> NDArray[np.float64]:
        """Of the units that are timed."""
        return self._r

    def _calibrated(self, seconds: float) -> int:
        """Units that take about that long."""
        once = self._once()
        few = _FEW_UNITS
        while (spent := self._seconds_of(few)["decode"] - once) < seconds / 5:
            few *= 2
        least = _LEAST_UNITS if self._shares else _FEW_UNITS
        return max(least, round(few * seconds / spent))

    def _once(self) -> float:
        """Seconds for one unit. The least of two: what disturbs it would be subtracted."""
        return min(self._seconds_of(1)["decode"] for _ in range(2))

    def _seconds_of(self, n_units: int) -> dict[str, float]:
        return self._process.run(self.name, n_units)[0]

"""What a measurement amounts to, as JSON and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from _data import KEPT
from _limits import product_work
from _ways import Sample
from numpy.typing import NDArray

__all__ = ["BASELINE", "EXPLANATION", "Measurement", "print_table"]

BASELINE = "fastl2lir float64"
_TOGETHER = "scikit-learn Ridge float64"

EXPLANATION = """\
Data are SIMULATED. Medians of rounds in which all ways and limits are timed in turn; ratios are
medians of the rounds' own ratios.
  units/s     unitdb: raw activations → accuracies (normalise, select, fit, predict, unscale,
              correlate), its RoiDecoder made. Others: fit + predict of z-scored arrays; of
              fastl2lir with selection (voxels > 500) less the time of one unit: what is shared
  set-up      what is done once a ROI: making the RoiDecoder; fit + predict of one unit.
  × l2l       units/s over that of fastl2lir float64
  × whole     the same of raw responses and activations → accuracies, set-up included, with as
              many units a call as given: the more, the less set-up matters
  × Ridge     units/s over that of scikit-learn's Ridge of all units in one fit (no selection)
  max |Δr|    to the accuracies of fastl2lir float64, same units
  of limit    unitdb: share of  p: spotrf of 500 × 500 a second, one thread a core (where each
              unit needs one);  g: float32 GEMM on all cores over the operations of a unit
"""


@dataclass(frozen=True)
class Measurement:
    """Rounds of one problem size.

    Attributes
    ----------
    n_voxels : int
    rounds : list of dict
        Way → sample, a dict a round.
    limits : list of dict
        Limit → rate, a dict a round.
    accuracies : dict
        Way → accuracies of its units.
    reference : array of shape (n_units,)
        Accuracies of the first units, unit by unit.
    """

    n_voxels: int
    rounds: list[dict[str, Sample]]
    limits: list[dict[str, float]]
    accuracies: dict[str, NDArray[np.float64]]
    reference: NDArray[np.float64]

    def summary(self) -> list[dict[str, Any]]:
        """Medians, ratios and differences of each way."""
        return [self._summarise(way) for way in self.accuracies]

    def to_json(self) -> dict[str, Any]:
        """The summary, and all times it is from."""
        return {
            "n_voxels": self.n_voxels,
            "ways": self.summary(),
            "rounds": [
                {way: asdict(sample) for way, sample in samples.items()} for samples in self.rounds
            ],
            "limits": self.limits,
        }

    def _summarise(self, way: str) -> dict[str, Any]:
        samples = [samples[way] for samples in self.rounds]
        return {
            "way": way,
            "n_units": samples[0].n_units,
            "units_per_second": median(sample.rate for sample in samples),
            "setup_seconds": median(sample.setup for sample in samples),
            "ratio": self._ratio(way, BASELINE, "rate"),
            "ratio_whole": self._ratio(way, BASELINE, "whole_rate"),
            "ratio_ridge": self._ratio(way, _TOGETHER, "rate"),
            "ratio_ridge_whole": self._ratio(way, _TOGETHER, "whole_rate"),
            "max_difference": _difference(self.accuracies[way], self.accuracies[BASELINE]),
            "max_difference_reference": _difference(self.accuracies[way], self.reference),
            "share_of_limit": self._share(way),
            "limit": "potrf" if self._factorises else "gemm",
        }

    @property
    def _factorises(self) -> bool:
        return self.n_voxels >= 2 * KEPT

    def _ratio(self, way: str, other: str, rate: str) -> float | None:
        if other not in self.accuracies:
            return None
        pairs = ((samples[way], samples[other]) for samples in self.rounds)
        return float(median(getattr(a, rate) / getattr(b, rate) for a, b in pairs))

    def _share(self, way: str) -> float:
        bounds = [
            limits["potrf"] if self._factorises else limits["gemm"] / product_work(self.n_voxels)
            for limits in self.limits
        ]
        rates = [samples[way].rate for samples in self.rounds]
        return median(rate / bound for rate, bound in zip(rates, bounds, strict=True))


def _difference(r: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    n = min(len(r), len(other))
    return float(np.abs(r[:n] - other[:n]).max())


_HEADER = (
    f"{'voxels':>6}  {'way':<36}{'units':>7}{'units/s':>12}{'set-up':>10}{'× l2l':>8}{'× whole':>9}"
    f"{'× Ridge':>9}{'max |Δr|':>10}{'of limit':>10}"
)


def print_table(measurement: Measurement) -> None:
    """Print one problem size: a row a way, and the limits."""
    print(_HEADER)
    for row in measurement.summary():
        print(f"{measurement.n_voxels:>6}  " + _line(row))
    potrf = median(limits["potrf"] for limits in measurement.limits)
    gemm = median(limits["gemm"] for limits in measurement.limits)
    reference = max(
        row["max_difference_reference"]
        for row in measurement.summary()
        if row["way"].startswith("unitdb")
    )
    n_units = len(measurement.reference)
    print(f"        limits: {potrf:,.0f} spotrf/s, {gemm / 1e9:,.0f} GFLOP/s float32", end="; ")
    print(f"unitdb to the slow reference ({n_units} units): max |Δr| {reference:.0e}\n", flush=True)


def _line(row: dict[str, Any]) -> str:
    ridge = "" if row["ratio_ridge"] is None else f"{row['ratio_ridge']:.2f}"
    share = ""
    if row["way"].startswith("unitdb"):
        share = f"{row['limit'][0]} {row['share_of_limit']:.0%}"
    return (
        f"{row['way']:<36}{row['n_units']:>7}{row['units_per_second']:>12,.0f}"
        f"{row['setup_seconds'] * 1e3:>7,.0f} ms{row['ratio']:>8.2f}{row['ratio_whole']:>9.2f}"
        f"{ridge:>9}{row['max_difference']:>10.0e}{share:>10}"
    )

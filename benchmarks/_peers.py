"""The other decoders. Runs in an environment of its own, and answers requests on stdin.

A request is one line of JSON. ``{"folder": …}`` reads ``x.npy``, ``y.npy`` (training rows first)
and ``problem.json``, and is answered with versions and with what is there to be measured;
``{"way": …, "n_units": …}`` runs one on the first units and is answered with seconds, accuracies
going to ``r.npy``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Fit = Callable[[Floats, Floats, Floats], Floats]
"""Predictions of the test rows from training responses and activations and test responses."""


class Peers:
    """Decoders of one problem.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._x = np.load(folder / "x.npy")
        self._y = np.load(folder / "y.npy")
        problem = json.loads((folder / "problem.json").read_text())
        self._n_train: int = problem["n_train"]
        self._selects = problem["n_kept"] < self._x.shape[1]
        self.ways = _ways(problem["n_kept"], problem["alpha"], selects=self._selects)

    def run(self, way: str, n_units: int) -> dict[str, float]:
        """Seconds of a way from raw arrays to accuracies (``whole``), and of fit and predict."""
        fit, dtype = self.ways[way]
        start = perf_counter()
        r, decode = self._accuracy(fit, dtype, n_units)
        whole = perf_counter() - start
        np.save(self._folder / "r.npy", r)
        return {"decode": decode, "whole": whole}

    def _accuracy(self, fit: Fit, dtype: type, n_units: int) -> tuple[Floats, float]:
        x_train, x_test, _, _ = _zscored(self._x, self._n_train, dtype)
        y = self._y[:, :n_units]
        y_train, _, mean, sd = _zscored(y, self._n_train, dtype)
        start = perf_counter()
        decoded = fit(x_train, y_train, x_test)
        spent = perf_counter() - start
        return _correlation(decoded * sd + mean, y[self._n_train :].astype(dtype)), spent


def _zscored(values: Floats, n_train: int, dtype: type) -> tuple[Floats, Floats, Floats, Floats]:
    train: Floats = values[:n_train].astype(dtype)
    mean, sd = train.mean(axis=0), train.std(axis=0, ddof=1)
    return (train - mean) / sd, (values[n_train:].astype(dtype) - mean) / sd, mean, sd


def _correlation(predicted: Floats, true: Floats) -> Floats:
    p, t = predicted - predicted.mean(axis=0), true - true.mean(axis=0)
    r: Floats = (p * t).sum(axis=0) / np.sqrt((p * p).sum(axis=0) * (t * t).sum(axis=0))
    return r


def _ways(kept: int, alpha: float, *, selects: bool) -> dict[str, tuple[Fit, type]]:
    ways: dict[str, tuple[Fit, type]] = {}
    for dtype in (np.float64, np.float32):
        ways[f"fastl2lir {dtype.__name__}"] = _fastl2lir(kept, alpha, dtype, selects), dtype
    ridge = import_module("sklearn.linear_model").Ridge
    if selects:
        ways["scikit-learn Ridge per unit float64"] = _per_unit(ridge, kept, alpha), np.float64
        return ways
    together = {"scikit-learn Ridge": (ridge, {"fit_intercept": False})}
    if _works("himalaya"):
        together["himalaya Ridge"] = import_module("himalaya.ridge").Ridge, {}
    for name, (model, options) in together.items():
        for dtype in (np.float64, np.float32):
            ways[f"{name} {dtype.__name__}"] = _together(model, alpha=alpha, **options), dtype
    return ways


def _fastl2lir(kept: int, alpha: float, dtype: type, selects: bool) -> Fit:
    decoder = import_module("fastl2lir").FastL2LiR

    def fit(x: Floats, y: Floats, x_test: Floats) -> Floats:
        model = decoder()
        model.fit(x, y, alpha=alpha, n_feat=kept if selects else 0, dtype=dtype)
        return np.asarray(model.predict(x_test, dtype=dtype))

    return fit


def _per_unit(ridge: Any, kept: int, alpha: float) -> Fit:
    def fit(x: Floats, y: Floats, x_test: Floats) -> Floats:
        scores = np.abs(y.T @ x)  # columns have equal variance
        voxels = np.argpartition(-scores, kept, axis=1)[:, :kept]
        out = np.empty((len(x_test), y.shape[1]))
        for unit, which in enumerate(voxels):
            model = ridge(alpha=alpha, fit_intercept=False).fit(x[:, which], y[:, unit])
            out[:, unit] = model.predict(x_test[:, which])
        return out

    return fit


def _together(model: Any, **options: Any) -> Fit:
    def fit(x: Floats, y: Floats, x_test: Floats) -> Floats:
        return np.asarray(model(**options).fit(x, y).predict(x_test))

    return fit


def _works(package: str) -> bool:
    try:
        import_module(package)
    except ImportError:
        return False
    return True


def _versions() -> dict[str, str]:
    names = ("fastl2lir", "scikit-learn", "himalaya", "numpy", "scipy")
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main() -> None:
    """Answer requests until stdin ends."""
    peers: Peers | None = None
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        if "folder" in request:
            peers = Peers(Path(request["folder"]))
            answer = {"ways": list(peers.ways), "versions": _versions()}
        elif peers is not None:
            answer = dict(peers.run(request["way"], request["n_units"]))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

"""Predictions of several layers and regions among candidates, in bounded memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError
from unitdb.matching._counts import Matches, match
from unitdb.matching._patterns import ALMOST, Concatenated, Patterns, patterns, similarity

__all__ = ["COMBINED", "METHODS", "Compared", "Method", "Question", "identify"]

Array = NDArray[np.float64]
Method = Literal["normalised", "horikawa2017"]

METHODS: tuple[Method, ...] = ("normalised", "horikawa2017")
"""Patterns whose units are normalised by mean and SD over the images that train, and raw ones."""

COMBINED = ("*concatenated", "*fisher")
"""In the place of a layer's name: all layers together, by their units or by their similarities.
No layer is called so."""

_BYTES = 1 << 29  # of similarities that are in memory together
_FEATURES = 1 << 24  # and of candidates: few, so that a processor's cache holds some of them


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """A layer: predictions and candidates, of the same units.

    Parameters
    ----------
    name : str
    predicted : array of shape (n, n_units)
        Raw, finite.
    features : callable
        Raw features of candidates from start up to stop, (stop - start, n_units).
    mean, sd : arrays of shape (n_units,), optional
        Of each unit over the images that train; units whose SD is not above 0 count raw alone.
    """

    name: str
    predicted: NDArray[np.floating]
    features: Callable[[int, int], NDArray[np.floating]]
    mean: NDArray[np.floating] | None = None
    sd: NDArray[np.floating] | None = None

    def n_units(self, method: Method) -> int:
        """Count the units that a method compares.

        Returns
        -------
        int
            At most the units of the layer.

        Examples
        --------
        >>> from unitdb.matching import Compared
        >>> x = np.ones((1, 3))
        >>> sd = np.array([1, 0, 2])
        >>> layer = Compared(name="fc", predicted=x, features=lambda start, stop: x, sd=sd)
        >>> layer.n_units("normalised")
        2
        """
        if method == "horikawa2017" or self.sd is None:
            return int(self.predicted.shape[1])
        return int((self.sd > 0).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """Some of the predictions, and what they are to be told from.

    Parameters
    ----------
    rows : slice
        Which predictions.
    candidates, targets, trained, categories, folds
        As of :func:`.match`, of these.
    among : array of int, optional
        Candidates that there are for these, ascending; all by default. The others' numbers count
        within it.
    """

    rows: slice
    candidates: NDArray[np.integer]
    targets: NDArray[np.integer]
    trained: NDArray[np.bool_] | None = None
    categories: NDArray[np.integer] | None = None
    folds: NDArray[np.integer] | None = None
    among: NDArray[np.integer] | None = None


def identify(
    layers: Sequence[Compared],
    n_candidates: int,
    questions: Mapping[Hashable, Question],
    *,
    methods: Sequence[Method] = METHODS,
    combined: Sequence[str] = COMBINED,
    n_bytes: int = _BYTES,
) -> Iterator[tuple[tuple[Hashable, str, Method], Matches]]:
    """Compare all predictions with all candidates, layer by layer and layers together.

    Memory is that of ``n_bytes``, of the predictions, of one block of candidates and of the matches
    of a place, which are given as soon as they are whole: sum them up and let them go.

    Parameters
    ----------
    layers : sequence of Compared
        Of the same predictions and candidates.
    n_candidates : int
    questions : mapping of any key to Question
    methods : sequence of {'normalised', 'horikawa2017'}
    combined : sequence of {'*concatenated', '*fisher'}
        How layers are combined, where there are several. Units are concatenated normalised alone.
    n_bytes : int
        Of similarities that are in memory together; numbers do not depend on it.

    Yields
    ------
    (key, layer, method), Matches

    Raises
    ------
    AnalysisError
        Another method, or as of :func:`.match`.

    Examples
    --------
    >>> from unitdb.matching import Compared, Question, identify
    >>> x = np.random.default_rng(0).normal(size=(4, 30))
    >>> layer = Compared(name="fc", predicted=x + 1, features=lambda start, stop: x[start:stop])
    >>> own = np.arange(4)
    >>> asked = {"seen": Question(rows=slice(0, 4), candidates=own, targets=own)}
    >>> found = dict(identify([layer], 4, asked, methods=["horikawa2017"], combined=()))
    >>> found["seen", "fc", "horikawa2017"].rate
    array([1., 1., 1., 1.])
    """
    for method in methods:
        if method not in METHODS:
            raise AnalysisError(f"method {method!r}; there is {' and '.join(METHODS)}")
    ways = tuple(combined) if len(layers) > 1 else ()
    return _identified(layers, n_candidates, questions, methods, ways, n_bytes)


def _identified(
    layers: Sequence[Compared],
    n_candidates: int,
    questions: Mapping[Hashable, Question],
    methods: Sequence[Method],
    ways: Sequence[str],
    n_bytes: int,
) -> Iterator[tuple[tuple[Hashable, str, Method], Matches]]:
    kept = 1 + len(ways) * len(methods)  # arrays of similarities and of what is summed
    most = max(1, n_bytes // (8 * n_candidates * kept))
    parts: dict[tuple[Hashable, str, Method], list[Matches]] = defaultdict(list)
    n = len(layers[0].predicted)
    for start in range(0, n, most):
        rows = slice(start, min(start + most, n))
        for layer, method, s in _similarities(layers, rows, n_candidates, methods, ways):
            for key, question in questions.items():
                own = _matched(s, rows, question)
                if own is None:
                    continue
                place = (key, layer, method)
                parts[place].append(own)
                if question.rows.stop <= rows.stop:
                    yield place, Matches.concatenate(parts.pop(place))


def _similarities(
    layers: Sequence[Compared],
    rows: slice,
    n_candidates: int,
    methods: Sequence[Method],
    ways: Sequence[str],
) -> Iterator[tuple[str, Method, Array]]:
    """Similarities of some predictions with all candidates, by layer and method; then combined."""
    shape = (rows.stop - rows.start, n_candidates)
    concatenated = Concatenated()
    fisher = {method: np.zeros(shape) for method in methods if "*fisher" in ways}
    for layer in layers:
        for method in methods:
            s, predicted, moments = _of_layer(layer, rows, n_candidates, method)
            yield layer.name, method, s
            if method == "normalised" and "*concatenated" in ways and predicted.n_units:
                own = predicted.means, predicted.norms
                concatenated.add_moments(s, own, moments, n_units=predicted.n_units)
            if method in fisher:
                # In place: the layer has been counted.
                fisher[method] += np.arctanh(np.clip(s, -ALMOST, ALMOST, out=s), out=s)
    for method, total in fisher.items():
        total /= len(layers)
        yield "*fisher", method, np.tanh(total, out=total)
    if "*concatenated" in ways and "normalised" in methods:
        yield "*concatenated", "normalised", concatenated.similarity()


def _of_layer(
    layer: Compared, rows: slice, n_candidates: int, method: Method
) -> tuple[Array, Patterns, tuple[Array, Array]]:
    """Similarities in a layer, the predictions' patterns, and means and norms of candidates."""
    units: slice | NDArray[np.bool_] = slice(None)
    mean = sd = None
    if method == "normalised" and layer.sd is not None and layer.mean is not None:
        varied = layer.sd > 0
        if not varied.all():
            units = varied
        mean, sd = layer.mean[varied], layer.sd[varied]
    predicted = patterns(layer.predicted[rows][:, units], mean=mean, sd=sd)
    s = np.empty((len(predicted), n_candidates))
    means, norms = np.empty(n_candidates), np.empty(n_candidates)
    size = max(1, _FEATURES // (8 * max(1, layer.predicted.shape[1])))
    for start in range(0, n_candidates, size):
        part = slice(start, min(start + size, n_candidates))
        found = patterns(layer.features(part.start, part.stop)[:, units], mean=mean, sd=sd)
        s[:, part] = similarity(predicted, found)
        means[part], norms[part] = found.means, found.norms
    return s, predicted, (means, norms)


def _matched(s: Array, rows: slice, question: Question) -> Matches | None:
    """What the predictions among some rows come to that a question is of."""
    start, stop = max(rows.start, question.rows.start), min(rows.stop, question.rows.stop)
    if start >= stop:
        return None
    own = slice(start - question.rows.start, stop - question.rows.start)
    mine = s[start - rows.start : stop - rows.start]
    if question.among is not None and len(question.among) < s.shape[1]:
        mine = mine[:, question.among]
    trained = question.trained
    return match(
        mine,
        candidates=question.candidates,
        targets=question.targets[own],
        trained=trained if trained is None or trained.ndim == 1 else trained[own],
        categories=question.categories,
        folds=None if question.folds is None else question.folds[own],
    )

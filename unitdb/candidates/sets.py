"""A set of candidates: what predictions are compared with to identify what was seen or imagined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unitdb.activations import Activations
from unitdb.candidates.features import Layer, in_memory, layer_sha256, means
from unitdb.errors import CandidatesError, UnknownLayerError
from unitdb.specs import as_id, content_sha256

__all__ = ["CandidateSet"]

_LISTED = 5
_BLOCK = 64 * 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class CandidateSet:
    """Candidates with their features, layer by layer; features are read in blocks, when asked for.

    A candidate is a picture, or a category, whose features are the means over its pictures.
    Whether it is the target of a sample, or has trained the decoder, is for the user of the set.

    Parameters
    ----------
    name : str
        Of the set.
    ids : tuple of str
        Of the candidates; unique, in the order of rows.
    labels : tuple of str
        Words for people, one a candidate.
    n_pictures : array of shape (n_candidates,)
        Pictures that the features are means over, int32; 0 where that is not known.
    given : mapping of str to Layer
        Where the features of each layer lie, in the model's order.
    source, description : str
        Where the set is from, in one line; what it is.
    model : str, optional
        The network whose features they are.
    folder : Path, optional
        Where the set is stored: :func:`unitdb.candidates.open_candidates` opens it again.
    stated_sha256 : str, optional
        Its hash, where a seal says that it holds what it did.

    Raises
    ------
    CandidatesError
        No candidates, an id that is empty or stands twice, or labels, numbers and ids that do not
        fit each other.
    """

    name: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    n_pictures: NDArray[np.int32]
    given: Mapping[str, Layer]
    source: str = ""
    description: str = ""
    model: str | None = None
    folder: Path | None = None
    stated_sha256: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(map(as_id, self.ids)))
        where = f"candidate set {self.name!r}"
        if not self.ids:
            raise CandidatesError(f"{where}: there are no candidates")
        if "" in self.ids:
            raise CandidatesError(f"{where}: candidate {self.ids.index('')} has an empty id")
        repeated = [name for name, times in Counter(self.ids).items() if times > 1]
        if repeated:
            raise CandidatesError(
                f"{where}: ids must be unique; {len(repeated)} stand more than once: "
                f"{', '.join(map(repr, repeated[:_LISTED]))}"
            )
        for what, n in (("labels", len(self.labels)), ("n_pictures", len(self.n_pictures))):
            if n != len(self.ids):
                raise CandidatesError(f"{where}: {len(self.ids)} candidates have {n} {what}")
        if (np.asarray(self.n_pictures) < 0).any():
            raise CandidatesError(f"{where}: n_pictures holds {min(self.n_pictures)}")

    @classmethod
    def from_arrays(
        cls,
        *,
        name: str,
        features: Mapping[str, ArrayLike],
        ids: Sequence[str],
        units: Mapping[str, ArrayLike] | None = None,
        labels: Mapping[str, str] | Sequence[str] | None = None,
        n_pictures: ArrayLike | None = None,
        source: str = "arrays in memory",
        description: str = "",
        model: str | None = None,
    ) -> CandidateSet:
        """Make a set of arrays.

        Parameters
        ----------
        name : str
        features : mapping of str to array of shape (n_candidates, n_units)
            Of each layer, raw; kept as float32.
        ids : sequence of str
            One a row.
        units : mapping of str to array of shape (n_units,), optional
            Flat C-order indices of the columns in each layer, ascending; by default 0, 1, ….
        labels : mapping of str to str, or sequence of str, optional
            By id, or one a row; by default, and of ids that a mapping has not, the ids.
        n_pictures : array of shape (n_candidates,), optional
            By default 1 each.
        source, description, model : str
            As of the class.

        Returns
        -------
        CandidateSet
            In memory.

        Raises
        ------
        CandidatesError
            Shapes that do not fit, a feature that is not finite in float32 (names layer and
            candidate), or units that do not ascend.

        Examples
        --------
        >>> from unitdb.candidates import CandidateSet
        >>> features = {"fc": np.arange(6.0).reshape(2, 3)}
        >>> found = CandidateSet.from_arrays(name="two", features=features, ids=["cat", "dog"])
        >>> len(found), found.ids
        (2, ('cat', 'dog'))
        """
        where = f"candidate set {name!r}"
        n = len(ids)
        if not features:
            raise CandidatesError(f"{where}: there are no layers")
        if units is not None and set(units) != set(features):
            raise CandidatesError(
                f"{where}: units are of layers {', '.join(units)}, features of "
                f"{', '.join(features)}"
            )
        arrays = {
            layer: _features(values, ids, where=f"{where}: layer {layer!r}")
            for layer, values in features.items()
        }
        indices = {
            layer: _units(
                np.arange(array.shape[1]) if units is None else units[layer],
                array.shape[1],
                where=f"{where}: layer {layer!r}",
            )
            for layer, array in arrays.items()
        }
        return cls(
            name=name,
            ids=tuple(ids),
            labels=_labels(labels, ids),
            n_pictures=_counts(np.ones(n) if n_pictures is None else n_pictures, where=where),
            given={layer: in_memory(array, indices[layer]) for layer, array in arrays.items()},
            source=source,
            description=description,
            model=model,
        )

    @classmethod
    def from_activations(
        cls,
        *,
        name: str,
        activations: Activations,
        ids: Sequence[str],
        categories: Mapping[str, Sequence[str]] | None = None,
        labels: Mapping[str, str] | Sequence[str] | None = None,
        source: str = "",
        description: str = "",
    ) -> CandidateSet:
        """Make a set of stimuli, and of categories, of which activations are stored.

        Parameters
        ----------
        name : str
        activations : Activations
            Of the stimuli; read when features are asked for.
        ids : sequence of str
            Stimuli, or categories.
        categories : mapping of str to sequence of str, optional
            Stimuli of each category, which may have more than are in ``ids``.
        labels : mapping of str to str, or sequence of str, optional
            As of :meth:`from_arrays`.
        source, description : str
            As of the class.

        Returns
        -------
        CandidateSet
            Stimuli, or categories with the mean over their stimuli.

        Raises
        ------
        CandidatesError
            A category without stimuli.
        StimulusMismatchError
            A stimulus without activations.
        """
        members_of = {as_id(key): of for key, of in (categories or {}).items()}
        names = [as_id(one) for one in ids]
        for one in names:
            if one in members_of and not members_of[one]:
                raise CandidatesError(f"candidate set {name!r}: category {one!r} has no stimuli")
        members = [activations.rows(list(members_of.get(one, [one]))) for one in names]
        return cls(
            name=name,
            ids=tuple(names),
            labels=_labels(labels, names),
            n_pictures=np.array([len(rows) for rows in members], dtype=np.int32),
            given=means(activations, members),
            source=source,
            description=description,
            model=activations.meta.model,
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that there are features of, in the model's order."""
        return tuple(self.given)

    def units(self, layer: str) -> NDArray[np.int32]:
        """Flat C-order indices of the units that there are features of, ascending.

        Returns
        -------
        array of shape (n_units,)
            int32.

        Raises
        ------
        UnknownLayerError
            No such layer.
        """
        return np.array(self._layer(layer).units)

    def features(
        self,
        layer: str,
        units: ArrayLike | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> NDArray[np.float32]:
        """Read the features of consecutive candidates.

        Parameters
        ----------
        layer : str
        units : array of int, optional
            Flat C-order indices, in the order of the columns that are given; by default all.
        start, stop : int
            Candidates, ``0 <= start <= stop <= len(self)``; by default all.

        Returns
        -------
        array of shape (stop - start, n_units)
            Raw, float32, a copy in C order.

        Raises
        ------
        UnknownLayerError
            No such layer.
        CandidatesError
            Units that there are no features of, or no such range of candidates.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise CandidatesError(
                f"candidate set {self.name!r} has {len(self)} candidates; there is no block "
                f"{start}:{stop}"
            )
        found = self._layer(layer)
        given = found.part(start, stop)
        if units is None:
            return np.array(given, dtype=np.float32, order="C")
        return np.array(
            given[:, self._positions(layer, found.units, units)], dtype=np.float32, order="C"
        )

    def blocks(
        self, layer: str, units: ArrayLike | None = None, *, n_bytes: int = _BLOCK
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Features of all candidates in blocks of at most ``n_bytes``, each with its first row.

        Returns
        -------
        iterator of (int, array of shape (n, n_units))
            First row and float32 features of each block.
        """
        n_units = len(self.units(layer))
        step = max(1, n_bytes // (4 * max(1, n_units)))
        for start in range(0, len(self), step):
            yield start, self.features(layer, units, start=start, stop=min(start + step, len(self)))

    @cached_property
    def sha256(self) -> str:
        """Hash of ids, labels, numbers of pictures, and of the units and features of all layers.

        The same wherever the set lies and whatever it is called.
        """
        return self.stated_sha256 or self.content_sha256()

    def content_sha256(self) -> str:
        """Compute :attr:`sha256` of all features.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        layers = [
            layer_sha256(layer, self.units(layer), (block for _, block in self.blocks(layer)))
            for layer in self.layers
        ]
        return content_sha256([self.ids, self.labels, self.n_pictures.tolist(), layers])

    def _layer(self, layer: str) -> Layer:
        if layer not in self.given:
            raise UnknownLayerError(layer, self.given, where=f"candidate set {self.name!r}")
        return self.given[layer]

    def _positions(
        self, layer: str, known: NDArray[np.int32], units: ArrayLike
    ) -> NDArray[np.intp]:
        asked = np.asarray(units)
        positions = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        missing = asked[known[positions] != asked]
        if missing.size:
            raise CandidatesError(
                f"candidate set {self.name!r}: layer {layer!r} has no features of {missing.size} "
                f"of {asked.size} units, {missing[0]} for one; it has {len(known)} units"
            )
        return positions


def _labels(
    labels: Mapping[str, str] | Sequence[str] | None, ids: Sequence[str]
) -> tuple[str, ...]:
    if labels is None:
        return tuple(ids)
    if isinstance(labels, Mapping):
        return tuple(labels.get(one, one) for one in ids)
    return tuple(labels)


def _counts(given: ArrayLike, *, where: str) -> NDArray[np.int32]:
    values = np.asarray(given)
    if values.ndim != 1 or values.dtype.kind not in "fiu" or (values != np.floor(values)).any():
        raise CandidatesError(f"{where}: n_pictures must be whole numbers, one a candidate")
    return values.astype(np.int32)


def _features(values: ArrayLike, ids: Sequence[str], *, where: str) -> NDArray[np.float32]:
    given: NDArray[Any] = np.asarray(values)
    if given.dtype.kind not in "fiub" or given.ndim != 2 or given.shape[0] != len(ids):
        raise CandidatesError(
            f"{where}: features are {given.dtype} of shape {given.shape}, expected numbers of "
            f"shape ({len(ids)} candidates, units)"
        )
    if not given.shape[1]:
        raise CandidatesError(f"{where}: has no units")
    with np.errstate(over="ignore"):
        kept = np.array(given, dtype=np.float32, order="C")
    finite = np.isfinite(kept).all(axis=1)
    if not finite.all():
        raise CandidatesError(
            f"{where}: the features of {ids[int(np.argmin(finite))]!r} are not finite"
        )
    kept.setflags(write=False)
    return kept


def _units(given: ArrayLike, n: int, *, where: str) -> NDArray[np.int32]:
    values = np.asarray(given)
    if values.shape != (n,) or values.dtype.kind not in "iu":
        raise CandidatesError(
            f"{where}: units are {values.dtype} of shape {values.shape}, expected whole numbers "
            f"of shape ({n},)"
        )
    wide = values.astype(np.int64)
    if (wide < 0).any() or (wide >= 2**31).any() or (np.diff(wide) <= 0).any():
        raise CandidatesError(f"{where}: units must ascend, from 0 to 2³¹ − 1")
    return wide.astype(np.int32)

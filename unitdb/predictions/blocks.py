"""The step that is shared out and resumed: an ROI of a subject, a block of units of a layer.

A block names its inputs and its result by files, so that any process that sees the same folders can
decode it. A result that is there is whole: it is put in place by a rename, and has a checksum.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.activations import Activations
from unitdb.analysis import repeat_reliability
from unitdb.decoding import TILE, DecoderSettings, profile_correlation
from unitdb.errors import IllConditionedError, ResponsesError, UnitdbError, WorkersError
from unitdb.predictions.arranged import Arranged, arranged_of, load_arranged, true_rows
from unitdb.recipes import SubjectInput
from unitdb.responses import shuffle_images
from unitdb.sealed import read_npz, sealed_shape, sealing, write_npy
from unitdb.tables import code_sha256

if TYPE_CHECKING:
    from unitdb.decoding import RoiDecoder

__all__ = [
    "PATTERN_CONTROLS",
    "Block",
    "check_worker",
    "decode_block",
    "predict_units",
    "resolution_of_layer",
    "write_responses",
]

PATTERN_CONTROLS = 5
"""Controls whose predictions are kept: the mean of few tells the chance level of identification."""

_DECODERS = 2  # blocks of an ROI come together; one of 4,500 voxels holds 150 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Units of a layer to decode from an ROI of a subject, over each of some test sets.

    Weights are solved once for all sets. What is known of one of them is read by a block of this
    set alone (:meth:`of`), whose files lie in a folder of their own.

    Parameters
    ----------
    name : str
        Dataset, subject and ROI, for messages.
    place : tuple of int
        Positions of the ROI and of the subject in the dataset.
    responses : Path
        File of the subject, by :func:`write_responses`.
    roi : str
        Its ROI.
    activations : Path
        Store of the network's activations.
    layer : str
        Layer.
    start, stop : int
        Positions among the layer's selected units.
    patterns : array of shape (n_kept,)
        Positions, of these, of the units whose predictions are kept.
    stored : array of shape (n_stored,)
        Positions, of these, of the units whose predictions are stored to be published.
    n_controls : int
        How often the block is decoded again with shuffled images.
    tests : tuple of str
        Names of the test sets.
    divisions : tuple of int
        Random divisions of presentations that reliability is over, for each set; 0 for none.
    settings : DecoderSettings
        Settings of the decoder.
    folder : Path
        For the results.
    code : str
        Hash of the code that must do it.
    """

    name: str
    place: tuple[int, int]
    responses: Path
    roi: str
    activations: Path
    layer: str
    start: int
    stop: int
    patterns: NDArray[np.intp]
    stored: NDArray[np.intp]
    n_controls: int
    tests: tuple[str, ...]
    divisions: tuple[int, ...]
    settings: DecoderSettings
    folder: Path
    code: str

    @property
    def n_units(self) -> int:
        """Count the units."""
        return self.stop - self.start

    def of(self, test: str) -> Block:
        """The same of one test set."""
        n_divisions = self.divisions[self.tests.index(test)]
        return replace(self, tests=(test,), divisions=(n_divisions,))

    @property
    def test(self) -> str:
        """Name of the only test set."""
        (name,) = self.tests
        return name

    @property
    def n_divisions(self) -> int:
        """Divisions of the presentations of the only test set."""
        (number,) = self.divisions
        return number

    @property
    def target(self) -> Path:
        """``.npy`` file of the accuracies over the only test set, the true ones first.

        float32 of shape (1 + n_controls, stop - start).
        """
        subject, roi = self.place[1], self.place[0]
        return (
            self.folder / self.test / self.layer / f"{subject:03d}-{roi:03d}"
            / f"{self.start:09d}.npy"
        )  # fmt: skip

    @property
    def predictions(self) -> Path:
        """``.npy`` file: float32 of shape (1 + some controls, n_held_out, n_kept)."""
        return self.target.with_name(f"{self.target.stem}-predicted.npy")

    @property
    def stored_predictions(self) -> Path:
        """``.npy`` file: float32 of shape (n_held_out, n_stored)."""
        return self.target.with_name(f"{self.target.stem}-stored.npy")

    @property
    def repeats(self) -> Path:
        """``.npy`` file: float32 of shape (3, stop - start), by :func:`_of_repeats`."""
        return self.target.with_name(f"{self.target.stem}-repeats.npy")

    def is_done(self) -> bool:
        """Whether the results are there, as they were written, and of the right shape."""
        return all(self.of(test)._is_done() for test in self.tests)

    def _is_done(self) -> bool:
        if self.n_divisions and sealed_shape(self.repeats) != (3, self.n_units):
            return False
        if len(self.patterns):
            predicted = sealed_shape(self.predictions)
            if predicted is None or predicted[2] != len(self.patterns):
                return False
        if len(self.stored):
            stored = sealed_shape(self.stored_predictions)
            if stored is None or stored[1] != len(self.stored):
                return False
        return sealed_shape(self.target) == (1 + self.n_controls, self.n_units)


def write_responses(
    path: Path, subject: SubjectInput, activations: Activations, *, n_controls: int, seed: int
) -> None:
    """Write what decoding needs of a subject to an ``.npz`` file (:mod:`.arranged`).

    A control shuffles images alike in all subjects who saw the same ones: people's responses to an
    image are alike, and what chance gives over subjects depends on that.

    Parameters
    ----------
    path : Path
        The file.
    subject : SubjectInput
        Samples, splits and ROIs.
    activations : Activations
        Of the stimuli.
    n_controls : int
        How many.
    seed : int
        Of the recipe.
    """
    design = subject.design
    # The second number is 0 here, and a subject's from 1 on where a whole release is a control.
    designs = [design, *(shuffle_images(design, seed=[seed, 0, k + 1]) for k in range(n_controls))]
    arrays = arranged_of(designs, activations, subject.categories)
    arrays |= {f"roi-{roi}": mask for roi, mask in subject.rois.items()}
    with sealing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def decode_block(block: Block) -> Block:
    """Decode a block and write its accuracies; gives the block back.

    The same bytes wherever it runs: one BLAS thread, and whole tiles of units.

    Raises
    ------
    WorkersError
        This process runs other code, or does not see the files.
    ResponsesError
        Names the dataset, subject, ROI, and the unit if it is one.
    """
    check_worker(block.code, block.responses)
    with threadpool_limits(1):
        activations = _activations(block.activations)
        with _naming(block, activations):
            _decode(block, activations)
    return block


def _decode(block: Block, activations: Activations) -> None:
    made = _decoder(block.responses, block.roi, block.settings)
    decoder, rows, sets = made.decoder, made.arranged.rows, made.arranged.sets
    y = true_rows(activations.block(block.layer, block.start, block.stop), made.arranged)
    resolution = activations.resolution(block.layer)
    numbers = [list(sets).index(test) for test in block.tests]
    divisions = dict(zip(numbers, block.divisions, strict=True))
    # The truth gives more than controls do, of which some have predictions, and the rest none.
    keep = np.union1d(block.patterns, block.stored)
    true = decoder.decode(
        y[rows[0]],
        keep=keep,
        of_repeats=partial(_of_repeats, divisions=divisions, averaged=made.averaged)
        if any(block.divisions)
        else None,
        resolution=resolution,
    )
    r = np.empty((len(sets), len(rows), block.n_units), dtype=np.float32)
    shape = (len(rows[: 1 + PATTERN_CONTROLS]), len(decoder.test_rows), len(block.patterns))
    predicted = np.empty(shape, dtype=np.float32)
    r[:, 0], predicted[0] = true.r, true.predicted[:, np.searchsorted(keep, block.patterns)]
    for control, of_samples in enumerate(rows[1:], 1):
        few = block.patterns if control < len(predicted) else block.patterns[:0]
        found = decoder.decode(y[of_samples], keep=few, resolution=resolution)
        r[:, control] = found.r
        if control < len(predicted):
            predicted[control] = found.predicted
    stored = true.predicted[:, np.searchsorted(keep, block.stored)].astype(np.float32)
    for number, of_test in zip(numbers, map(block.of, block.tests), strict=True):
        places = sets[of_test.test]
        if len(block.patterns):
            write_npy(of_test.predictions, predicted[:, places])
        if len(block.stored):
            write_npy(of_test.stored_predictions, stored[places])
        if of_test.n_divisions:
            write_npy(of_test.repeats, np.asarray(true.of_repeats[number], dtype=np.float32))
        write_npy(of_test.target, r[number])


@contextmanager
def _naming(block: Block, activations: Activations) -> Iterator[None]:
    """Errors name the dataset, subject and ROI, and the unit if it is one."""
    try:
        yield
    except IllConditionedError as cause:
        unit = None
        if cause.unit is not None:
            unit = activations.units(block.layer)[block.start + cause.unit]
        name = f"{activations.meta.model}/{block.layer}/{unit}"
        again = IllConditionedError(cause.alpha, unit=unit, name=name)
        raise ResponsesError(f"{block.name}: {again}") from None
    except UnitdbError as cause:
        raise ResponsesError(f"{block.name}: {cause}") from None


def check_worker(code: str, responses: Path) -> None:
    """Raise WorkersError where this process cannot do a step as the build would.

    Parameters
    ----------
    code : str
        Hash of the code that must do it.
    responses : Path
        A file that it reads.
    """
    if code != code_sha256():
        raise WorkersError(
            "a worker runs another version of unitdb than the build: install the same one there"
        )
    if not responses.exists():
        raise WorkersError(
            f"a worker does not see {responses}: workers need the folders of the build"
        )


def _of_repeats(
    number: int,
    predicted: NDArray[np.float64],
    true: NDArray[np.float64],
    *,
    divisions: Mapping[int, int],
    averaged: Sequence[float],
) -> NDArray[np.float64]:
    """Reliability of each unit's predictions, and its accuracy in either half of presentations.

    The halves are every other presentation, each averaged; the last of an odd number is left out.

    Parameters
    ----------
    number : int
        Of the test set.
    predicted : array of shape (n_repeats, n_held_out, n_units)
        From single presentations.
    true : array of shape (n_held_out, n_units)
    divisions : mapping of int to int
        Of the presentations of each set into halves, for reliability.
    averaged : sequence of float
        Presentations that the accuracies of each set are of.

    Returns
    -------
    array of shape (3, n_units)
    """
    n = len(predicted) // 2 * 2
    halves = [predicted[first:n:2].mean(axis=0) for first in (0, 1)]
    return np.stack(
        [
            repeat_reliability(predicted, n_splits=divisions[number], averaged=averaged[number]),
            *(profile_correlation(half, true) for half in halves),
        ]
    )


def resolution_of_layer(block: Block) -> float:
    """By which the units of a block's layer are constant."""
    return _activations(block.activations).resolution(block.layer)


def predict_units(block: Block, units: NDArray[np.intp]) -> NDArray[np.float64]:
    """Predict some units of a block that is done, to the last bit as when it was decoded.

    Parameters
    ----------
    block : Block
        Where they are; of one test set.
    units : array of shape (n_kept,)
        Positions in it, ascending.

    Returns
    -------
    array of shape (n_held_out, n_kept)
        Raw activations.
    """
    with threadpool_limits(1):
        activations = _activations(block.activations)
        made = _decoder(block.responses, block.roi, block.settings)
        held_out = made.arranged.sets[block.test]
        predicted = np.empty((len(held_out), len(units)))
        # Whole tiles: what is predicted of a unit follows from its tile.
        for tile in np.unique(units // TILE):
            of_tile = units // TILE == tile
            start = block.start + int(tile) * TILE
            stored = activations.block(block.layer, start, min(start + TILE, block.stop))
            y = true_rows(stored, made.arranged)[made.arranged.rows[0]]
            found = made.decoder.predict(y, resolution=activations.resolution(block.layer))
            predicted[:, of_tile] = found[:, units[of_tile] % TILE][held_out]
    return predicted


@lru_cache(maxsize=2)
def _activations(folder: Path) -> Activations:
    return Activations.open(folder)


_one_at_a_time = threading.Lock()


class _Made(NamedTuple):
    """A decoder of an ROI, with the arrangement of its samples.

    ``averaged`` are the presentations that the rows of each test set average over.
    """

    decoder: RoiDecoder
    arranged: Arranged
    averaged: tuple[float, ...]


def _decoder(path: Path, roi: str, settings: DecoderSettings) -> _Made:
    with _one_at_a_time:  # or threads would make the same decoder side by side
        return _made_decoder(path, roi, settings)


@lru_cache(maxsize=_DECODERS)
def _made_decoder(path: Path, roi: str, settings: DecoderSettings) -> _Made:
    from unitdb.decoding import RoiDecoder  # numba, which takes a second, is for who decodes

    arranged = load_arranged(path)
    arrays = read_npz(
        path, lambda name: name in {f"roi-{roi}", "values"} or name.startswith(("rep", "ave"))
    )
    mask = arrays[f"roi-{roi}"]
    repeats = [arrays.get(f"repeats-{number}") for number in range(len(arranged.sets))]
    decoder = RoiDecoder(
        arrays["values"][:, mask],
        arranged.splits,
        settings,
        sets=arranged.set_rows,
        repeats=[None if one is None else one[:, :, mask] for one in repeats],
    )
    averaged = tuple(
        float(arrays.get(f"averaged-{number}", 1.0)) for number in range(len(arranged.sets))
    )
    return _Made(decoder, arranged, averaged)

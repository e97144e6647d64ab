"""The step that is shared out and resumed: an ROI of a subject, a block of units of a layer.

A block names its inputs and its result by files, so that any process that sees the same folders can
decode it. A result that is there is whole: it is put in place by a rename, and has a checksum.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.activations import Activations
from unitdb.analysis import repeat_reliability
from unitdb.build.inputs import SubjectInput
from unitdb.decoding import DecoderSettings, RoiDecoder, profile_correlation
from unitdb.decoding.roi import TILE
from unitdb.errors import IllConditionedError, ResponsesError, UnitdbError, WorkersError
from unitdb.responses import shuffle_images
from unitdb.sealed import read_npz, sealed_shape, sealing, write_npy
from unitdb.tables import code_sha256

__all__ = [
    "PATTERN_CONTROLS",
    "Block",
    "check_worker",
    "decode_block",
    "images_by_name",
    "load_responses",
    "predict_units",
    "resolution_of_layer",
    "write_responses",
]

PATTERN_CONTROLS = 5
"""Controls whose predictions are kept: the mean of few tells the chance level of identification."""

_DECODERS = 2  # blocks of an ROI come together; one of 4,500 voxels holds 150 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Units of a layer to decode from an ROI of a subject.

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
    n_controls : int
        How often the block is decoded again with shuffled images.
    n_divisions : int
        Random divisions of presentations that reliability is over; 0 for none.
    settings : DecoderSettings
        How.
    target : Path
        ``.npy`` file for the accuracies, float32 of shape (1 + n_controls, stop - start), the true
        ones first.
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
    n_controls: int
    n_divisions: int
    settings: DecoderSettings
    target: Path
    code: str

    @property
    def n_units(self) -> int:
        """Count the units."""
        return self.stop - self.start

    @property
    def predictions(self) -> Path:
        """``.npy`` file: float32 of shape (1 + some controls, n_test, n_kept)."""
        return self.target.with_name(f"{self.target.stem}-predicted.npy")

    @property
    def repeats(self) -> Path:
        """``.npy`` file: float32 of shape (3, stop - start), by :func:`_of_repeats`."""
        return self.target.with_name(f"{self.target.stem}-repeats.npy")

    def is_done(self) -> bool:
        """Whether the results are there, as they were written, and of the right shape."""
        if self.n_divisions and sealed_shape(self.repeats) != (3, self.n_units):
            return False
        if len(self.patterns):
            predicted = sealed_shape(self.predictions)
            if predicted is None or predicted[2] != len(self.patterns):
                return False
        return sealed_shape(self.target) == (1 + self.n_controls, self.n_units)


def write_responses(
    path: Path, subject: SubjectInput, activations: Activations, *, n_controls: int, seed: int
) -> None:
    """Write what decoding needs of a subject to an ``.npz`` file.

    Its array ``rows``, of shape (1 + n_controls, n_rows), has the row of the activations for each
    sample; then the same with the images shuffled. A control shuffles them alike in all subjects
    who saw the same ones: people's responses to an image are alike, and what chance gives over
    subjects depends on that. ``by_name`` has the places of held-out samples in the order of their
    stimuli's ids, as a release has them.

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
    rows = np.stack([activations.rows(each.stimulus_ids.tolist()) for each in designs])
    arrays: dict[str, Any] = {"values": design.values, "rows": rows}
    held_out = np.concatenate([test for _, test in design.splits])
    arrays["by_name"] = np.argsort(design.stimulus_ids[held_out], kind="stable")
    if design.repeats is not None:
        arrays |= {"repeats": design.repeats, "averaged": np.float64(design.averaged)}
    arrays |= {f"train-{i}": train for i, (train, _) in enumerate(design.splits)}
    arrays |= {f"test-{i}": test for i, (_, test) in enumerate(design.splits)}
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
        try:
            decoder, rows, averaged = _decoder(block.responses, block.roi, block.settings)
            y = activations.block(block.layer, block.start, block.stop)
            r = np.empty((len(rows), block.n_units), dtype=np.float32)
            shape = (len(rows[: 1 + PATTERN_CONTROLS]), len(decoder.test_rows), len(block.patterns))
            predicted = np.empty(shape, dtype=np.float32)
            of_repeats = None
            for control, of_samples in enumerate(rows):
                keep = block.patterns if control < len(predicted) else block.patterns[:0]
                summary = partial(_of_repeats, n_divisions=block.n_divisions, averaged=averaged)
                asked = summary if block.n_divisions and control == 0 else None
                found = decoder.decode(
                    y[of_samples],
                    keep=keep,
                    of_repeats=asked,
                    resolution=activations.resolution(block.layer),
                )
                r[control] = found.r
                if control < len(predicted):
                    predicted[control] = found.predicted
                if found.of_repeats is not None:
                    of_repeats = found.of_repeats.astype(np.float32)
        except IllConditionedError as cause:
            unit = None
            if cause.unit is not None:
                unit = activations.units(block.layer)[block.start + cause.unit]
            name = f"{activations.meta.model}/{block.layer}/{unit}"
            again = IllConditionedError(cause.alpha, unit=unit, name=name)
            raise ResponsesError(f"{block.name}: {again}") from None
        except UnitdbError as cause:
            raise ResponsesError(f"{block.name}: {cause}") from None
    if len(block.patterns):
        write_npy(block.predictions, predicted)
    if of_repeats is not None:
        write_npy(block.repeats, of_repeats)
    write_npy(block.target, r)
    return block


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
    predicted: NDArray[np.float64],
    true: NDArray[np.float64],
    *,
    n_divisions: int,
    averaged: float,
) -> NDArray[np.float64]:
    """Reliability of each unit's predictions, and its accuracy in either half of presentations.

    The halves are every other presentation, each averaged; the last of an odd number is left out.

    Parameters
    ----------
    predicted : array of shape (n_repeats, n_test, n_units)
        From single presentations.
    true : array of shape (n_test, n_units)
    n_divisions : int
        Of the presentations into halves, for reliability.
    averaged : float
        Presentations that the accuracies are of.

    Returns
    -------
    array of shape (3, n_units)
    """
    n = len(predicted) // 2 * 2
    halves = [predicted[first:n:2].mean(axis=0) for first in (0, 1)]
    return np.stack(
        [
            repeat_reliability(predicted, n_splits=n_divisions, averaged=averaged),
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
        Where they are.
    units : array of shape (n_kept,)
        Positions in it, ascending.

    Returns
    -------
    array of shape (n_test, n_kept)
        Raw activations.
    """
    with threadpool_limits(1):
        activations = _activations(block.activations)
        decoder, rows, _ = _decoder(block.responses, block.roi, block.settings)
        predicted = np.empty((len(decoder.test_rows), len(units)))
        # Whole tiles: what is predicted of a unit follows from its tile.
        for tile in np.unique(units // TILE):
            of_tile = units // TILE == tile
            start = block.start + int(tile) * TILE
            y = activations.block(block.layer, start, min(start + TILE, block.stop))
            found = decoder.predict(y[rows[0]], resolution=activations.resolution(block.layer))
            predicted[:, of_tile] = found[:, units[of_tile] % TILE]
    return predicted


@lru_cache(maxsize=2)
def _activations(folder: Path) -> Activations:
    return Activations.open(folder)


_one_at_a_time = threading.Lock()


def _decoder(
    path: Path, roi: str, settings: DecoderSettings
) -> tuple[RoiDecoder, NDArray[np.intp], float]:
    with _one_at_a_time:  # or threads would make the same decoder side by side
        return _made_decoder(path, roi, settings)


@lru_cache(maxsize=_DECODERS)
def _made_decoder(
    path: Path, roi: str, settings: DecoderSettings
) -> tuple[RoiDecoder, NDArray[np.intp], float]:
    """Decoder, rows of the activations, and how many presentations test rows average over."""
    arrays = read_npz(path, {f"roi-{roi}", "values", "repeats", "averaged"}.__contains__)
    mask, repeats = arrays[f"roi-{roi}"], arrays.get("repeats")
    splits, rows = load_responses(path)
    decoder = RoiDecoder(
        arrays["values"][:, mask],
        splits,
        settings,
        repeats=None if repeats is None else repeats[:, :, mask],
    )
    return decoder, rows, float(arrays.get("averaged", 1.0))


def load_responses(
    path: Path,
) -> tuple[list[tuple[NDArray[np.intp], NDArray[np.intp]]], NDArray[np.intp]]:
    """Splits and rows of the activations that :func:`write_responses` wrote."""
    arrays = read_npz(path, lambda name: name.startswith(("train-", "test-", "rows")))
    splits = [(arrays[f"train-{i}"], arrays[f"test-{i}"]) for i in range(len(arrays) // 2)]
    return splits, arrays["rows"]


def images_by_name(path: Path) -> NDArray[np.intp]:
    """Places of the held-out samples that :func:`write_responses` wrote, by their stimuli's ids."""
    found: NDArray[np.intp] = read_npz(path, "by_name".__eq__)["by_name"]
    return found

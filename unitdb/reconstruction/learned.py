"""Pictures by a network that is trained from voxels to pictures, within folds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb import npy
from unitdb.errors import ModelError, UnitdbError
from unitdb.predictions import check_worker
from unitdb.reconstruction.making import ONE_AT_A_TIME
from unitdb.reconstruction.networks import NetworkSource, look_of
from unitdb.reconstruction.targets import shuffled_rows
from unitdb.sealed import read_npy, read_npz, sealed_shape, write_npy

if TYPE_CHECKING:
    from unitdb.nn import SelectedActivations, Training, Transform

__all__ = ["GatherStep", "TrainStep"]

Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainStep:
    """A network of a fold, and its pictures of what that holds out.

    Killed, it goes on from a checkpoint beside its target.

    Parameters
    ----------
    name : str
        For messages.
    person : Path
        By :func:`unitdb.reconstruction.write_person`.
    pixels : Path
        ``.npy``: pictures of all stimuli, (n_stimuli, n_pixels), 0–255.
    side, channels : int
        Of a picture.
    fold : int
        Split of the person.
    pictures : array of int
        Those that are made, rows of ``pixels``, in the order of the result.
    n_training : int or None
        How many of the training pictures train, drawn by the seed; more of them hold the fewer.
        None for all.
    control : int
        Which training pictures are shuffled, from 1; 0 for the true ones.
    training : Training
        Settings, with a seed.
    features : NetworkSource or None
        Network and layers of the feature loss.
    seed : tuple of int
        Of shuffling and of what is drawn.
    target : Path
        ``.npy``: float32 (n_pictures, n_pixels).
    code : str
        Hash of the code that must do it.
    """

    name: str
    person: Path
    pixels: Path
    side: int
    channels: int
    fold: int
    pictures: Rows
    n_training: int | None
    control: int
    training: Training
    features: NetworkSource | None
    seed: tuple[int, ...]
    target: Path
    code: str

    def is_done(self) -> bool:
        """Whether the result is there, as it was written, and of the right shape.

        Returns
        -------
        bool
            True where nothing is left to do.
        """
        shape = (len(self.pictures), self.side**2 * self.channels)
        return sealed_shape(self.target) == shape

    def run(self) -> None:
        """Train, make the pictures, and write them."""
        check_worker(self.code, self.person)
        checkpoint = self.target.with_suffix(".checkpoint")
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with threadpool_limits(1), ONE_AT_A_TIME:
            try:
                found = self._made(checkpoint)
            except UnitdbError as cause:
                raise ModelError(f"{self.name}: {cause}") from None
        write_npy(self.target, found)
        checkpoint.unlink(missing_ok=True)

    def _made(self, checkpoint: Path) -> NDArray[np.float32]:
        from unitdb.nn import train_generator

        arrays = read_npz(self.person, lambda _: True)
        values, rows = arrays["values"], arrays["rows"].astype(np.intp)
        train, test = arrays[f"train-{self.fold}"], arrays[f"test-{self.fold}"]
        train = self._some(rows, train)
        of = shuffled_rows(rows, train, seed=self.seed, control=self.control, split=self.fold)
        shape = (-1, self.side, self.side, self.channels)
        shown = np.asarray(npy.map_npy(self.pixels)[of[train]]).astype(np.uint8).reshape(shape)
        features, look = self._features()
        trained = train_generator(
            values[train],
            shown,
            training=replace(self.training, seed=self._drawn()),
            features=features,
            transform=look,
            feature_size=None if look is None else look.size,
            checkpoint=checkpoint,
        )
        # Of a picture that was seen several times, the mean of what it gave.
        seen = np.stack([values[test[rows[test] == row]].mean(axis=0) for row in self.pictures])
        made = trained.pictures(seen)[..., : self.channels]
        return made.reshape(len(made), -1).astype(np.float32)

    def _some(self, rows: Rows, train: Rows) -> Rows:
        """Samples of so many of the training pictures."""
        if self.n_training is None:
            return train
        images = np.unique(rows[train])
        rng = np.random.Generator(np.random.PCG64([*self.seed, self.fold]))
        return train[np.isin(rows[train], rng.permutation(images)[: self.n_training])]

    def _drawn(self) -> int:
        """Seed of weights and batches: another for each fold and control."""
        words = [*self.seed, self.training.seed, self.control, self.fold]
        return int(np.random.SeedSequence(words).generate_state(1, np.uint32)[0])

    def _features(self) -> tuple[SelectedActivations | None, Transform | None]:
        if self.features is None:
            return None, None
        from unitdb.nn import SelectedActivations

        loaded = self.features.load()
        return SelectedActivations(loaded.module, loaded.masks()), look_of(loaded)


@dataclass(frozen=True, kw_only=True, eq=False)
class GatherStep:
    """Pictures of all folds, as targets of pixels that :class:`PictureStep` rounds.

    Parameters
    ----------
    person : Path
        As of the trainings.
    pictures : array of shape (n_pictures,)
        Rows of those that are made.
    parts : sequence of list of TrainStep
        Of each method, those of all folds.
    n_pixels : int
        Of a picture.
    target : Path
        ``.npy``: float32 (n_pictures, n_pixels of all methods); of a picture that several folds
        hold out, the mean.
    code : str
        Hash of the code that must do it.
    """

    person: Path
    pictures: Rows
    parts: tuple[tuple[TrainStep, ...], ...]
    n_pixels: int
    target: Path
    code: str

    def is_done(self) -> bool:
        """Whether the result is there, as it was written, and of the right shape.

        Returns
        -------
        bool
            True where nothing is left to do.
        """
        shape = (len(self.pictures), len(self.parts) * self.n_pixels)
        return sealed_shape(self.target) == shape

    def run(self) -> None:
        """Put the folds together."""
        check_worker(self.code, self.person)
        write_npy(self.target, np.concatenate([self._whole(of) for of in self.parts], axis=1))

    def _whole(self, parts: tuple[TrainStep, ...]) -> NDArray[np.float32]:
        totals = np.zeros((len(self.pictures), self.n_pixels))
        counts = np.zeros(len(self.pictures))
        place = {row: number for number, row in enumerate(self.pictures.tolist())}
        for part in parts:
            at = [place[row] for row in part.pictures.tolist()]
            totals[at] += read_npy(part.target)
            counts[at] += 1
        return (totals / counts[:, None]).astype(np.float32)

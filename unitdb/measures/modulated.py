"""What is decoded from degraded pictures, held against what was shown and against the originals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import (
    encode_responses,
    feature_gain,
    group_halves,
    mixed_responses,
    noise_control,
    null_control,
    pattern_r,
    resampled_noise,
)
from unitdb.decoding import DecoderSettings
from unitdb.resolution import is_constant

__all__ = ["METHODS", "VALUES", "Features", "Pictures", "modulated", "simulated_gains"]

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
Rows = NDArray[np.intp]

METHODS = ("abdelhack2018", "normalised")
VALUES = (
    *("r_stimulus", "r_original", "noise_r_stimulus", "noise_r_original"),
    *("null_r_stimulus", "null_r_original", "noise_snr", "null_snr"),
)
"""What is known of a sample by each method, in the order of arrays."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """Which pictures train, which were shown, and their originals: rows of the activations.

    Parameters
    ----------
    train : array of shape (n_train,)
    shown, original : arrays of shape (n_samples,)
        Of the samples of all test sets, one set after the other.
    of_set : array of shape (n_samples,)
        Number of the set of each sample.
    averaged : array of shape (n_samples,)
        Presentations that it averages over.
    """

    train: Rows
    shown: Rows
    original: Rows
    of_set: Rows
    averaged: Array

    @property
    def sharp(self) -> NDArray[np.bool_]:
        """Samples whose picture was shown as it is."""
        return np.asarray(self.shown == self.original)


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """Activations of the units of a layer, and by which of them are constant.

    Parameters
    ----------
    values : array of shape (n_stimuli, n_units)
    resolution : float
    """

    values: Floats
    resolution: float

    def scale(self, rows: Rows) -> tuple[Array, Array]:
        """Mean and SD of each unit over some rows; SD 0 where it is constant."""
        own = self.values[rows].astype(np.float64)
        constant = is_constant(self.values[rows], resolution=self.resolution)
        return own.mean(axis=0), np.where(constant, 0.0, own.std(axis=0, ddof=1))


def modulated(
    responses: Floats,
    predicted: Sequence[Floats],
    layers: Sequence[Features],
    pictures: Pictures,
    settings: DecoderSettings,
    *,
    n_draws: int,
    seed: Sequence[int],
) -> Array:
    """Correlations of what is decoded, and of both controls.

    Parameters
    ----------
    responses : array of shape (n_train, n_voxels)
        Of the samples that train, raw.
    predicted : sequence of arrays of shape (n_samples, n_units)
        What was decoded from the test samples, of each layer, raw.
    layers : sequence of Features
        The same units.
    pictures : Pictures
    settings : DecoderSettings
        Of the decoder that predicted.
    n_draws : int
        Draws of noise.
    seed : sequence of int

    Returns
    -------
    array of shape (n_methods, n_layers, n_samples, 8)
        :data:`VALUES`, by :data:`METHODS`; of the null, means over both halves.
    """
    sharp = pictures.sharp
    found = np.full((len(METHODS), len(layers), len(sharp), len(VALUES)), np.nan)
    targets = np.full(found.shape[:2], np.nan)
    scales = [layer.scale(pictures.train) for layer in layers]
    for number, (layer, own) in enumerate(zip(layers, predicted, strict=True)):
        shown, original = layer.values[pictures.shown], layer.values[pictures.original]
        for method, (mean, sd) in enumerate(_by_method(scales[number])):
            of = found[method, number]
            of[:, 0] = pattern_r(own, shown, mean=mean, sd=sd)
            of[:, 1] = pattern_r(own, original, mean=mean, sd=sd)
            known = of[sharp, 1][~np.isnan(of[sharp, 1])]
            targets[method, number] = known.mean() if len(known) else np.nan
            control = noise_control(
                shown,
                original,
                sharp=sharp,
                target=float(targets[method, number]),
                mean=mean,
                sd=sd,
                n_draws=n_draws,
                seed=[*seed, number],
            )
            of[:, 2], of[:, 3] = control.r_stimulus, control.r_original
            of[:, 6] = control.snr
    found[..., [4, 5, 7]] = 0
    halves = group_halves(pictures.train, seed=[*seed, len(layers)])
    for turn, encodes in enumerate(halves):
        decoded = _encoded_and_decoded(
            responses,
            layers,
            pictures,
            settings,
            encodes,
            n_draws=n_draws,
            seed=[*seed, len(layers), 1 + turn],
        )
        for number, (p, q) in enumerate(decoded):
            shown, original = (
                layers[number].values[rows] for rows in (pictures.shown, pictures.original)
            )
            for method, (mean, sd) in enumerate(_by_method(scales[number])):
                target = float(targets[method, number])
                null = null_control(
                    p, q, shown, original, sharp=sharp, target=target, mean=mean, sd=sd
                )
                found[method, number, :, 4] += null.r_stimulus / 2
                found[method, number, :, 5] += null.r_original / 2
                found[method, number, :, 7] += null.snr / 2
    return found


def _by_method(scale: tuple[Array, Array]) -> Iterator[tuple[Array, Array | None]]:
    mean, sd = scale
    yield from ((mean, None), (mean, sd))


def _encoded_and_decoded(
    responses: Floats,
    layers: Sequence[Features],
    pictures: Pictures,
    settings: DecoderSettings,
    encodes: Rows,
    *,
    n_draws: int,
    seed: Sequence[int],
) -> Iterator[tuple[Array, NDArray[np.float32]]]:
    """Of each layer what is decoded from encoded responses, and from noise alone.

    The encoder is trained on some of the samples, the decoder on all, as that of the brain itself:
    one of fewer samples cannot be as good with any noise. They share the noise of some samples.
    """
    from unitdb.decoding import RoiDecoder  # numba, for who decodes

    train = pictures.train
    encoded = encode_responses(
        [layer.values[train[encodes]] for layer in layers],
        [layer.values[pictures.shown] for layer in layers],
        responses[encodes],
        groups=train[encodes],
        seed=[*seed, 0],
    )
    n = len(encoded.predicted)
    rng = np.random.Generator(np.random.PCG64([*seed, 1]))
    noise = resampled_noise(encoded.residuals, n_draws * n, rng=rng)
    still = encoded.predicted.mean(axis=0, keepdims=True)
    x = np.concatenate([responses, encoded.predicted, still, still + noise])
    tests = np.arange(len(train), len(x))
    decoder = RoiDecoder(x, [(np.arange(len(train)), tests)], settings)
    # Rows that are predicted do not enter: any will do.
    rows = np.concatenate([train, np.full(len(tests), train[0])])
    for layer in layers:
        found = decoder.predict(layer.values[rows], resolution=layer.resolution)
        of_noise = (found[n + 1 :] - found[n]).astype(np.float32)
        yield found[:n], of_noise.reshape(n_draws, n, -1)


def simulated_gains(
    layers: Sequence[Features],
    pictures: Pictures,
    settings: DecoderSettings,
    *,
    n_voxels: int,
    noise: float,
    n_draws: int,
    seed: Sequence[int],
) -> Array:
    """Gains of one simulated brain that is only fed forward, decoded as real ones are.

    Its voxels are sparse mixtures of units (:func:`unitdb.analysis.mixed_responses`), and each
    presentation adds white noise.

    Parameters
    ----------
    layers : sequence of Features
    pictures : Pictures
    settings : DecoderSettings
    n_voxels : int
    noise : float
        SD of the noise of a presentation, in parts of the SD of a voxel's signal.
    n_draws : int
        Draws of noise of the controls.
    seed : sequence of int

    Returns
    -------
    array of shape (n_methods, n_layers, 1 + n_sets, 3)
        Means over samples of r_original, and of the gain against either control: first of all
        samples whose picture was shown as it is, then of each set.
    """
    from unitdb.decoding import RoiDecoder  # numba, for who decodes

    rng = np.random.Generator(np.random.PCG64([*seed, 0]))
    values = [layer.values for layer in layers]
    signal = mixed_responses(values, pictures.train, n_voxels, rng=rng)
    train = signal[pictures.train] + noise * rng.standard_normal((len(pictures.train), n_voxels))
    test = noise * rng.standard_normal((len(pictures.shown), n_voxels))
    test = signal[pictures.shown] + test / np.sqrt(pictures.averaged)[:, None]
    x, n_train = np.concatenate([train, test]), len(train)
    splits = [(np.arange(n_train), np.arange(n_train, len(x)))]
    decoder = RoiDecoder(x, splits, settings)
    rows = np.concatenate([pictures.train, pictures.original])
    predicted = [
        decoder.predict(layer.values[rows], resolution=layer.resolution) for layer in layers
    ]
    found = modulated(
        train, predicted, layers, pictures, settings, n_draws=n_draws, seed=[*seed, 1]
    )
    r_s, r_o, *controls, _, _ = np.moveaxis(found, -1, 0)
    values_of = np.stack(
        [
            r_o,
            feature_gain(r_s, r_o, controls[0], controls[1]),
            feature_gain(r_s, r_o, controls[2], controls[3]),
        ],
        axis=-1,
    )
    sets = [pictures.of_set == number for number in range(int(pictures.of_set.max()) + 1)]
    return np.stack([_mean(values_of[:, :, rows]) for rows in (pictures.sharp, *sets)], axis=2)


def _mean(values: Array) -> Array:
    """Mean over samples of those that there are; NaN of none."""
    known = ~np.isnan(values)
    n = known.sum(axis=2)
    return np.where(n > 0, np.where(known, values, 0.0).sum(axis=2) / np.maximum(n, 1), np.nan)

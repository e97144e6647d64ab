"""Whether what is decoded from degraded pictures is nearer to the original than it should be.

Of a picture that was shown degraded (blurred, say), r_s is the correlation over units of what is
decoded from it with the features of what was shown, r_o that with those of its original. A decoder
that knows nothing of originals gives some r_o - r_s too; a *control* says how much, and the
**gain** is what is beyond it:  gain = (r_o - r_s) - (r_o - r_s of the control).  It is 0 of
pictures that were shown as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError

__all__ = ["MatchedControl", "feature_gain", "noise_control", "null_control", "pattern_r"]

Array = NDArray[np.float64]
Floats = NDArray[np.floating]

_PUBLISHED = np.linspace(10, -100, 1101)
"""Signal-to-noise ratios that are tried, in dB: as published."""
_FROM_NONE = np.linspace(40, -100, 1401)
"""The same where there may be hardly any noise."""
_NEAR = 0.005
"""By how much r may miss what is to be matched."""
_ROUNDING = 2.0**-20  # of float32 predictions, in parts of the largest


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedControl:
    """What features give that know nothing of originals, with noise that makes them as good.

    Parameters
    ----------
    snr : float
        Signal-to-noise ratio that was matched, in dB; NaN where none gives an r as high as that of
        decoding. The lowest, -100, is noise alone, also where decoding is worse than that.
    r_stimulus, r_original : arrays of shape (n_images,)
        Means over draws of the noise; NaN without a match.
    """

    snr: float
    r_stimulus: Array
    r_original: Array


def pattern_r(
    predicted: Floats, features: Floats, *, mean: Floats, sd: Floats | None = None
) -> Array:
    """Pearson r over units of predictions and features, image by image.

    Units are centred with their training means, as published; with ``sd`` they are divided by it
    too, and those whose SD is 0 do not count.

    Parameters
    ----------
    predicted, features : arrays of shape (n_images, n_units)
        Raw.
    mean, sd : arrays of shape (n_units,)
        Of the images that train.

    Returns
    -------
    array of shape (n_images,)
        NaN where a side does not vary over units.

    References
    ----------
    Abdelhack & Kamitani 2018, doi:10.1523/ENEURO.0443-17.2018 (centred).

    Examples
    --------
    >>> from unitdb.analysis import pattern_r
    >>> predicted, true = np.array([[1.0, 2, 3]]), np.array([[3.0, 4, 8]])
    >>> pattern_r(predicted, true, mean=np.zeros(3)).round(3)
    array([0.945])
    """
    p, f = (_normal(x, mean, sd) for x in (predicted, features))
    # Predictions that are the training mean but for rounding say nothing.
    still = np.abs(p).max(axis=1, initial=0) <= _ROUNDING * _largest(predicted, sd)
    p, f = _about_mean(p), _about_mean(f)
    norms = np.sqrt(np.einsum("iu,iu->i", p, p) * np.einsum("iu,iu->i", f, f))
    norms[still | (norms == 0)] = np.nan
    return np.asarray(np.einsum("iu,iu->i", p, f) / norms)


def feature_gain(
    r_stimulus: Floats, r_original: Floats, control_stimulus: Floats, control_original: Floats
) -> Array:
    """(r_o - r_s) - (r_o - r_s of the control): how far decoding leads beyond a control.

    Returns
    -------
    array of the arguments' shape
        Above 0 where decoding leads further than its control.

    Examples
    --------
    >>> from unitdb.analysis import feature_gain
    >>> gain = feature_gain(*(np.array([r]) for r in (0.2, 0.3, 0.2, 0.25)))
    >>> gain.round(2).tolist()
    [0.05]
    """
    difference = np.subtract(r_original, r_stimulus, dtype=np.float64)
    return np.asarray(difference - np.subtract(control_original, control_stimulus))


def noise_control(
    stimulus: Floats,
    original: Floats,
    *,
    sharp: NDArray[np.bool_],
    target: float,
    mean: Floats,
    sd: Floats | None = None,
    n_draws: int = 20,
    seed: int | Sequence[int] = 0,
) -> MatchedControl:
    """The published control: true features of what was shown, with noise.

    Gaussian noise of variance mean(f²) / 10^(SNR/10) over the units of an image, f centred, is
    added to its features. Of SNR = 10, 9.9, ..., -100 dB the one is taken whose mean r over the
    pictures that were shown as they are is nearest to that of decoded features; where that is
    negative, the first whose mean r is. It serves all pictures. Published with one draw of noise.

    It is **not 0 for a brain that is only fed forward**: give it beside what a simulated one has.

    Parameters
    ----------
    stimulus, original : arrays of shape (n_images, n_units)
        True features of what was shown and of its original, raw.
    sharp : array of shape (n_images,)
        Whether the picture was shown as it is; r over these is matched.
    target : float
        Mean r_o of decoded features over these.
    mean, sd : arrays of shape (n_units,)
        As of :func:`pattern_r`.
    n_draws : int
        Draws of noise that r is the mean of.
    seed : int or sequence of int
        Of numpy's PCG64.

    Returns
    -------
    MatchedControl
        Both correlations of the control, and the SNR chosen.

    Raises
    ------
    AnalysisError
        Shapes that do not agree, no picture that was shown as it is, or no draws.

    References
    ----------
    Abdelhack & Kamitani 2018, and EstimateMatchedNoise.m of KamitaniLab/BlurImageSharpening.

    Examples
    --------
    >>> from unitdb.analysis import noise_control
    >>> shown = np.random.default_rng(0).normal(size=(4, 200))
    >>> sharp = np.array([True, True, False, False])
    >>> control = noise_control(shown, shown, sharp=sharp, target=0.5, mean=np.zeros(200))
    >>> float(control.r_stimulus[:2].mean().round(2))
    0.5
    """
    if n_draws < 1:
        raise AnalysisError(f"{n_draws} draws of noise; at least 1")
    f, g = (_normal(x, mean, sd) for x in (stimulus, original))
    rng = np.random.Generator(np.random.PCG64(seed))
    draws = (rng.standard_normal(f.shape) for _ in range(n_draws))
    power = np.einsum("iu,iu->i", f, f) / max(f.shape[1], 1)
    mixed = _Mixed(f, draws, _about_mean(f), _about_mean(g))
    return _matched(mixed, np.sqrt(power), _PUBLISHED, sharp=sharp, target=target)


def null_control(
    predicted: Floats,
    noise: Floats,
    stimulus: Floats,
    original: Floats,
    *,
    sharp: NDArray[np.bool_],
    target: float,
    mean: Floats,
    sd: Floats | None = None,
) -> MatchedControl:
    """The encode-decode null: what the decoder makes of responses predicted from what was shown.

    Decoding is linear, so that responses x + a e are decoded as p + a q. Of amplitudes a that are
    the same for all pictures, 40, 39.9, ..., -100 dB below p, the one is taken whose mean r_o over
    the pictures that were shown as they are is nearest to that of decoded features; where that is
    negative, the first whose mean r_o is.

    Parameters
    ----------
    predicted : array of shape (n_images, n_units)
        p: decoded from the responses that an encoder predicts, raw.
    noise : array of shape (n_draws, n_images, n_units)
        q: what the decoder makes of noise in responses, less what it makes of none.
    stimulus, original, sharp, target, mean, sd
        As of :func:`noise_control`.

    Returns
    -------
    MatchedControl
        Both correlations of the control, and the SNR chosen.

    Raises
    ------
    AnalysisError
        As of :func:`noise_control`.

    Examples
    --------
    >>> from unitdb.analysis import null_control
    >>> rng = np.random.default_rng(0)
    >>> shown = rng.normal(size=(4, 200))
    >>> noise = rng.normal(size=(5, 4, 200))
    >>> sharp = np.array([True, True, False, False])
    >>> given = {"sharp": sharp, "target": 0.5, "mean": np.zeros(200)}
    >>> found = null_control(shown, noise, shown, shown, **given)
    >>> float(found.r_original[:2].mean().round(2))
    0.5
    """
    if not len(noise):
        raise AnalysisError("0 draws of noise; at least 1")
    p, f, g = (_normal(x, mean, sd) for x in (predicted, stimulus, original))
    if noise.shape[1:] != predicted.shape:
        raise AnalysisError(f"noise of shape {noise.shape} for predictions of {predicted.shape}")
    zero = np.zeros_like(mean)
    draws = [_normal(q, zero, sd) for q in noise]
    of_noise = np.mean([np.square(q).mean() for q in draws])
    of_sharp = np.square(p[sharp]).mean() if sharp.any() else np.nan
    unit = np.sqrt(of_sharp / of_noise) if of_noise > 0 else 0.0
    mixed = _Mixed(p, draws, _about_mean(f), _about_mean(g))
    return _matched(mixed, np.full(len(p), unit), _FROM_NONE, sharp=sharp, target=target)


class _Mixed:
    """Correlations of s + a e with two targets, for any a: all that they need is a few products."""

    def __init__(self, signal: Array, draws: Iterable[Array], *targets: Array) -> None:
        if any(target.shape != signal.shape for target in targets):
            raise AnalysisError(
                f"features of shapes {[t.shape for t in targets]}: predictions are {signal.shape}"
            )
        s = _about_mean(signal)
        self._of_signal = [np.einsum("iu,iu->i", s, t) for t in (s, *targets)]
        self._norms = [np.sqrt(np.einsum("iu,iu->i", t, t)) for t in targets]
        of_noise = []
        for draw in draws:
            e = _about_mean(draw)
            of_noise.append([np.einsum("iu,iu->i", e, t) for t in (e, s, *targets)])
        self._of_noise = np.array(of_noise)  # (n_draws, 2 + n_targets, n_images)

    def r(self, amplitude: Array, target: int, images: NDArray[np.intp]) -> Array:
        """Mean r over draws with one of the targets.

        Parameters
        ----------
        amplitude : array of shape (n_amplitudes, n_images)
        target : int
        images : array of int

        Returns
        -------
        array of shape (n_amplitudes, n_images)
        """
        own, with_target = (self._of_signal[k][images] for k in (0, 1 + target))
        total = np.zeros(amplitude.shape)
        for draw in self._of_noise[..., images]:
            variance = own + 2 * amplitude * draw[1] + amplitude**2 * draw[0]
            covariance = with_target + amplitude * draw[2 + target]
            with np.errstate(invalid="ignore", divide="ignore"):
                total += covariance / np.sqrt(np.where(variance > 0, variance, np.nan))
        with np.errstate(invalid="ignore", divide="ignore"):
            norms = self._norms[target][images]
            return np.asarray(total / len(self._of_noise) / np.where(norms > 0, norms, np.nan))


def _matched(
    mixed: _Mixed, unit: Array, snrs: Array, *, sharp: NDArray[np.bool_], target: float
) -> MatchedControl:
    """Take the SNR at which the pictures shown as they are have the mean r that is asked for."""
    those = np.flatnonzero(sharp)
    if not len(those):
        raise AnalysisError("no picture was shown as it is; noise is matched on such")
    nothing = np.full(len(sharp), np.nan)
    amplitude = 10 ** (-snrs / 20)
    r = mixed.r(amplitude[:, None] * unit[those], 1, those)
    known = ~np.isnan(r).all(axis=0)
    if np.isnan(target) or not known.any():
        return MatchedControl(snr=np.nan, r_stimulus=nothing, r_original=nothing)
    mean = np.nanmean(r[:, known], axis=1)
    place = int(np.nanargmin(np.abs(mean - target)))
    if target < 0 and (mean < 0).any():
        place = int(np.argmax(mean < 0))
    if target - mean[place] > _NEAR:  # even with the least noise it is not as good
        return MatchedControl(snr=np.nan, r_stimulus=nothing, r_original=nothing)
    everything, chosen = np.arange(len(sharp)), amplitude[place : place + 1, None] * unit
    return MatchedControl(
        snr=float(snrs[place]),
        r_stimulus=mixed.r(chosen, 0, everything)[0],
        r_original=mixed.r(chosen, 1, everything)[0],
    )


def _normal(values: Floats, mean: Floats, sd: Floats | None) -> Array:
    """Units less their training mean, divided by their SD if there is one; without those of 0."""
    if values.shape[-1:] != mean.shape or (sd is not None and sd.shape != mean.shape):
        raise AnalysisError(f"patterns of shape {values.shape}: means are of {mean.shape}")
    centred = values.astype(np.float64) - mean
    return centred if sd is None else centred[:, sd > 0] / sd[sd > 0]


def _largest(values: Floats, sd: Floats | None) -> Array:
    size = np.abs(values.astype(np.float64))
    if sd is not None:
        size = size[:, sd > 0] / sd[sd > 0]
    return np.asarray(size.max(axis=1, initial=0))


def _about_mean(values: Array) -> Array:
    if not values.shape[1]:
        return values
    return np.asarray(values - values.mean(axis=1, keepdims=True))

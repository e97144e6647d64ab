"""Simulated responses with a known truth: which layers an ROI computes, and which units show.

Nothing here was measured. A voxel is a sparse mixture of a few units of one layer, drawn from the
layers that its ROI prefers; a unit enters voxels in proportion to its visibility, which people
share for the most part; presentations add noise that is smooth over neighbouring voxels. Decoding
must then find the preferred layers in each ROI, and the visible units in every subject.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.special
from numpy.typing import NDArray

from unitdb.errors import DatasetError
from unitdb.resolution import is_constant, scaled
from unitdb.responses.sets import Chosen, Found, assemble
from unitdb.responses.sets_spec import TRAIN, time_name
from unitdb.responses.simulation_spec import SimulatedResponses, SimulatedTest
from unitdb.responses.spec import DatasetSpec
from unitdb.responses.types import Responses
from unitdb.texts import fits

__all__ = ["Truth", "simulate", "simulated_truth"]

Rows = NDArray[np.intp]

_UNITS_PER_VOXEL = 6
_VISIBILITY_SPREAD = 1.5
_SMOOTHNESS = 2.0
_SIZE_JITTER = 0.1
_TEST = "test-"  # how ids of stimuli begin that do not train


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What the simulated brains compute.

    Parameters
    ----------
    preference : mapping of str to array of shape (n_layers,)
        For each ROI the share of its voxels that mix units of each layer; layers as in the spec.
    visibility : mapping of str to array of shape (n_units,)
        For each layer the log visibility of its units that all subjects have in common, in SD.
    """

    preference: Mapping[str, NDArray[np.float64]]
    visibility: Mapping[str, NDArray[np.float64]]


def simulated_truth(spec: SimulatedResponses, n_units: Mapping[str, int]) -> Truth:
    """Draw the truth that all subjects share.

    Parameters
    ----------
    spec : SimulatedResponses
        The simulation.
    n_units : mapping of str to int
        Units of each layer that the brain computes.
    """
    depth = np.linspace(0.0, 1.0, len(spec.layers)) if len(spec.layers) > 1 else np.zeros(1)
    preference = {}
    for roi, wish in spec.rois.items():
        weight = np.exp(-0.5 * ((depth - wish.depth) / spec.tuning_width) ** 2)
        preference[roi] = weight / weight.sum()
    visibility = {
        layer: _rng(spec, "visibility", layer).standard_normal(n_units[layer])
        for layer in spec.layers
    }
    return Truth(preference=preference, visibility=visibility)


def simulate(
    dataset: DatasetSpec,
    spec: SimulatedResponses,
    subject: str,
    stimulus_ids: Sequence[str],
    activations: Mapping[str, NDArray[np.floating]],
    *,
    tests: Collection[str] | None = None,
    originals: Mapping[str, str] | None = None,
) -> Responses:
    """Simulate one subject.

    Parameters
    ----------
    dataset : DatasetSpec
        The dataset that ``spec`` belongs to.
    spec : SimulatedResponses
        The simulation.
    subject : str
        One of the dataset's subjects.
    stimulus_ids : sequence of str, n_stimuli long
        ``train-…`` are shown once, ``test-…`` as often as each test set says; versions of others
        where it says so.
    activations : mapping of str to array of shape (n_stimuli, n_units)
        For each layer the raw activations of the units that the brain computes.
    tests : collection of str, optional
        Test sets that are simulated, as of :class:`~unitdb.responses.sets.Chosen`.
    originals : mapping of str to str, optional
        Of stimuli that were made from others, such as blurred versions, the id of that one. Signals
        are normalised over the others, and do not depend on which versions there are.

    Returns
    -------
    Responses
        The same bytes for the same arguments.
    """
    truth = simulated_truth(spec, {layer: a.shape[1] for layer, a in activations.items()})
    signals, members, layers = [], [], []
    made = originals or {}
    own = np.array([name not in made for name in stimulus_ids])
    for roi in spec.rois:
        signal, layer_of = _roi_signal(spec, truth, roi, subject, activations, own)
        signals.append(signal)
        members.append(np.full(signal.shape[1], roi))
        layers.append(layer_of)
    signal, member = np.concatenate(signals, axis=1), np.concatenate(members)
    layer_of = np.concatenate(layers)

    chosen = Chosen(spec, tests, where=dataset.name)
    sizes = {roi: int((member == roi).sum()) for roi in spec.rois}
    is_test = np.array([name.startswith(_TEST) for name in stimulus_ids])
    trained = np.flatnonzero(~is_test & own)
    place_of = {name: place for place, name in enumerate(stimulus_ids)}
    original = np.array([place_of[made.get(name, name)] for name in stimulus_ids])
    found: list[Found] = []

    def add(
        name: str,
        part: SimulatedTest | None,
        shown: Rows,
        noise: NDArray[np.float64],
        time: float | None = None,
    ) -> None:
        of_shown = signal[shown]
        if part is not None and part.sharpening:
            sharp = signal[original[shown]]
            of_shown = (1 - part.sharpening) * of_shown + part.sharpening * sharp
        scale = (part.signal if part else 1.0) * _course(spec, part, time)[layer_of]
        values = scale * of_shown + _noise_of(spec, part) * noise
        found.append(
            Found(
                name=name,
                part=part,
                values=values.astype(np.float32),
                ids=[stimulus_ids[place] for place in shown],
                time=time,
            )
        )

    for number, (name, part) in enumerate(spec.tests.items()):
        times = () if part.windows is None else part.windows.times(0.0)
        names = [name, *(time_name(name, time) for time in times)]
        if number and not any(map(chosen.takes, names)):
            continue
        pictures = _shown(part, stimulus_ids, is_test & own, where=dataset.name)
        shown = np.repeat(pictures, part.repeats)
        if number == 0:  # training and the first test set: one stream of noise
            both = _noise(spec, len(trained) + len(shown), sizes, "noise", subject)
            add(TRAIN, None, trained, both[: len(trained)])
            noise = both[len(trained) :]
        elif chosen.takes(name):
            noise = _noise(spec, len(shown), sizes, "noise", subject, name)
        if chosen.takes(name):
            add(name, part, shown, noise)
        for time in times:
            of_time = time_name(name, time)
            if chosen.takes(of_time):
                add(
                    name,
                    part,
                    shown,
                    _noise(spec, len(shown), sizes, "noise", subject, of_time),
                    time,
                )
    chosen.check([each.split for each in found], near=_times(spec))
    rois = {roi: np.isin(member, [roi, *wish.of]) for roi, wish in spec.rois.items()}
    return assemble(dataset, subject, found, rois, data=Path())


def _shown(
    part: SimulatedTest, stimulus_ids: Sequence[str], tested: NDArray[np.bool_], *, where: str
) -> Rows:
    """Stimuli of a test set: those that it names, or all that test."""
    if part.shown is None:
        return np.flatnonzero(tested)
    fit = [any(fits(name, pattern) for pattern in part.shown) for name in stimulus_ids]
    if not any(fit):
        raise DatasetError(f"{where}: no stimulus fits {', '.join(part.shown)} (`shown`)")
    return np.flatnonzero(np.array(fit))


def _times(spec: SimulatedResponses) -> list[str]:
    """Names of the test sets that all windows make."""
    return [
        time_name(name, time)
        for name, part in spec.tests.items()
        if part.windows is not None
        for time in part.windows.times(0.0)
    ]


def _course(
    spec: SimulatedResponses, part: SimulatedTest | None, time: float | None
) -> NDArray[np.float64]:
    """Share of the signal that the voxels of each layer have at a time; 1 where there is none.

    The usual haemodynamic response, a gamma density of shape 6 less a sixth of one of shape 16, to
    something that lasts some seconds; its highest value is 1.
    """
    if part is None or part.course is None or time is None:
        return np.ones(len(spec.layers))
    seconds = part.course.seconds
    lags = np.array([part.course.lags.get(layer, 0.0) for layer in spec.layers])
    highest = _response(np.arange(0, 60 + seconds, 0.1), seconds).max()
    return np.asarray(_response(time - lags, seconds) / highest)


def _response(t: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Haemodynamic response to something that lasts some seconds from 0 on."""
    begun, ended = (
        scipy.special.gammainc(6, s) - scipy.special.gammainc(16, s) / 6
        for s in (np.maximum(t, 0.0), np.maximum(t - seconds, 0.0))
    )
    return np.asarray(begun - ended)


def _noise_of(spec: SimulatedResponses, part: SimulatedTest | None) -> float:
    return spec.noise if part is None or part.noise is None else part.noise


def _noise(
    spec: SimulatedResponses, n_samples: int, sizes: Mapping[str, int], *purpose: str
) -> NDArray[np.float64]:
    """Noise of unit variance of all voxels, ROI by ROI, (n_samples, n_voxels)."""
    kind, subject, *of_set = purpose
    return np.concatenate(
        [
            _smooth_noise(_rng(spec, kind, subject, roi, *of_set), n_samples, size, spec)
            for roi, size in sizes.items()
        ],
        axis=1,
    )


def _roi_signal(
    spec: SimulatedResponses,
    truth: Truth,
    roi: str,
    subject: str,
    activations: Mapping[str, NDArray[np.floating]],
    original: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], Rows]:
    """Noise-free responses (n_stimuli, n_voxels) of an ROI's own voxels.

    Of unit variance over the stimuli that are no versions of others. With them the place of the
    layer that each voxel mixes units of.
    """
    rng = _rng(spec, "voxels", subject, roi)
    own = spec.rois[roi].n_voxels - sum(spec.rois[part].n_voxels for part in spec.rois[roi].of)
    n_voxels = round(own * (1 + _SIZE_JITTER * rng.uniform(-1, 1)))
    layer_of = rng.choice(len(spec.layers), size=n_voxels, p=truth.preference[roi])
    blocks = []
    for index, layer in enumerate(spec.layers):
        z, of_made = _zscored(np.asarray(activations[layer], dtype=np.float64), original)
        individual = _rng(spec, "individual", subject, layer).standard_normal(z.shape[1])
        log_visibility = _VISIBILITY_SPREAD * (
            np.sqrt(spec.agreement) * truth.visibility[layer]
            + np.sqrt(1 - spec.agreement) * individual
        )
        chance = np.exp(log_visibility) * z.any(axis=0)
        shape = (_UNITS_PER_VOXEL, int((layer_of == index).sum()))
        units = rng.choice(len(chance), size=shape, p=chance / chance.sum())
        weights = np.zeros((z.shape[1], shape[1]))
        np.add.at(weights, (units, np.arange(shape[1])), rng.standard_normal(shape))
        # Apart: rounding of a product may follow its number of rows.
        mixed = np.empty((len(original), shape[1]))
        mixed[original], mixed[~original] = z @ weights, of_made @ weights
        block = np.empty_like(mixed)
        block[original], block[~original] = _zscored(mixed, original)
        blocks.append(block)
    # Neighbours on the sheet prefer different layers, as the order of drawing had it.
    grouped = np.concatenate(blocks, axis=1)
    signal = np.empty_like(grouped)
    signal[:, np.argsort(layer_of, kind="stable")] = grouped
    return signal, layer_of


def _smooth_noise(
    rng: np.random.Generator, n_samples: int, n_voxels: int, spec: SimulatedResponses
) -> NDArray[np.float64]:
    """Unit-variance noise (n_samples, n_voxels), in part smooth over a square sheet of voxels."""
    side = int(np.ceil(np.sqrt(n_voxels)))
    white = rng.standard_normal((n_samples, n_voxels))
    sheet = rng.standard_normal((n_samples, side, side))
    smooth = scipy.ndimage.gaussian_filter(sheet, sigma=(0, _SMOOTHNESS, _SMOOTHNESS), mode="wrap")
    smooth = (smooth / smooth.std()).reshape(n_samples, -1)[:, :n_voxels]
    share = spec.noise_correlation
    return np.asarray(np.sqrt(1 - share) * white + np.sqrt(share) * smooth)


def _zscored(
    values: NDArray[np.float64], of: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns with mean 0 and SD 1 over some rows, or 0 if constant there: those rows, the rest."""
    values = np.asarray(scaled(values)[0])
    own = values[of]
    constant = is_constant(own)
    mean, sd = own.mean(axis=0), np.where(constant, 1.0, own.std(axis=0))
    own, rest = ((rows - mean) / sd for rows in (own, values[~of]))
    own[:, constant] = 0.0
    rest[:, constant] = 0.0
    return np.asarray(own), np.asarray(rest)


def _rng(spec: SimulatedResponses, *purpose: str) -> np.random.Generator:
    """A stream of random numbers of its own for each purpose."""
    return np.random.Generator(np.random.PCG64([spec.seed, *"/".join(purpose).encode()]))

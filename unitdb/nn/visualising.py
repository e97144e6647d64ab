"""Pictures that drive units: feature visualisation, by the search of :func:`unitdb.nn.invert`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo
from torch import nn

from unitdb.errors import ActivationsError, InversionError
from unitdb.files import replacing
from unitdb.nn.inversion import settings_of, stated
from unitdb.nn.modes import modes_kept
from unitdb.nn.picking import Resolution
from unitdb.nn.seeking import Maker, Sought, one_thread, shared
from unitdb.nn.selected import SelectedActivations
from unitdb.nn.transform import Look, published_transform
from unitdb.nn.wiring import Units
from unitdb.query.tensors import LayerUnits
from unitdb.query.units import UnitSet

__all__ = ["Visualisation", "visualise"]

_MOST = 8  # pixels
_SPREADS = (0.0, 1.0)
"""A picture begins grey; with noise where the unit does not answer to grey, as a ReLU may not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Visualisation:
    """Synthetic pictures, and how much they drive their units.

    Parameters
    ----------
    images : array of shape (n_units, height, width, 3)
        uint8, RGB: a picture for each unit.
    activations : array of shape (n_units,)
        float32, raw: of each unit to its picture, to these very bytes.
    loss : array of shape (n_units, steps + 1)
        float32; before each step and after the last.
    unit_ids : tuple of str
        Which unit each picture is of.
    settings : dict
        All that the pictures depend on besides network and units.
    """

    images: NDArray[np.uint8]
    activations: NDArray[np.float32]
    loss: NDArray[np.float32]
    unit_ids: tuple[str, ...]
    settings: dict[str, Any]

    def save(self, path: str | Path, place: int = 0, **about: Any) -> None:
        """Write a picture as PNG, with activation and settings inside.

        Parameters
        ----------
        path : str or Path
            The file: written whole, or not at all.
        place : int
            Which picture.
        **about
            What else the file is to say, as plain values.

        Examples
        --------
        >>> from unitdb import nn
        >>> grey = np.full((1, 4, 4, 3), 128, np.uint8)
        >>> shown = {"images": grey, "activations": np.ones(1), "loss": np.zeros((1, 2))}
        >>> nn.Visualisation(**shown, unit_ids=("fc/0",), settings={}).save(folder / "unit.png")
        """
        unit = self.unit_ids[place]
        said = about | {
            "synthetic": True,
            "unit": unit,
            "activation": float(self.activations[place]),
            "settings": self.settings,
        }
        info = PngInfo()
        info.add_text("Description", f"Synthetic: made to drive unit {unit}")
        info.add_text("unitdb", json.dumps(said))
        with replacing(Path(path)) as whole:
            PIL.Image.fromarray(self.images[place]).save(whole, format="PNG", pnginfo=info)


def visualise(
    model: nn.Module,
    units: Units,
    *,
    prior: Literal["pyramid", "pixels"] = "pyramid",
    steps: int = 64,
    lr: float | None = None,
    tv: float = 1.0,
    jitter: int | None = None,
    seed: int = 0,
    size: int | None = None,
    grid: int | None = None,
    transform: Look | None = None,
    layers: Mapping[str, str] | None = None,
    resolution: Resolution = "exact",
    workers: int = 1,
    progress: bool = False,
) -> Visualisation:
    """Find for each chosen unit a picture that drives it (feature visualisation).

    With a(x) the activation of the unit to picture x, what is made small by Adam is

        −a(x) / s  +  tv · TV(x),     s = 255 Σ |∂a/∂x|,

    the sum over all values of the picture that the search begins with, x from 0 to 255. TV is the
    mean size of the difference of neighbours, white − black being 1. The search begins with grey,
    or with noise where the unit has no slope there. It ends after a fixed number of steps, so
    that no picture is the best: others may drive the unit more, and look different.

    Pictures are found one by one, each with one thread and chance of its own. On a CPU, a picture
    depends on the network, its unit and the settings alone.

    Parameters
    ----------
    model : torch.nn.Module
        The network, used in evaluation mode; modes are given back.
    units : UnitSet or mapping of str to bool tensor of shape (C, H, W) or (N,)
        Units of one layer.
    prior : {"pyramid", "pixels"}
        As of :func:`invert`.
    steps : int
        Of the optimiser: the time that a picture takes.
    lr : float, optional
        First rate, as of :func:`invert`.
    tv : float
        Weight of TV: more of it gives smoother pictures.
    jitter : int, optional
        Each step the network sees the picture moved by up to so many pixels, wrapping around:
        without it pictures are mostly fine grain. By default half the distance of neighbours in
        the layer's map, 8 at the most: moved further, it would be another unit that it drives.
    seed : int
        Of all that is drawn, together with the unit's name.
    grid : int, optional
        Side of the picture, which the network sees enlarged; half of ``size`` by default. Finer
        grain drives units more, and shows less.
    size, transform, layers, resolution, workers, progress
        As of :func:`invert`; by default of the size and preprocessing that the release states.

    Returns
    -------
    Visualisation
        Pictures and activations. Call them synthetic where they are shown.

    Raises
    ------
    ActivationsError
        Units of several layers; settings that cannot be; images of another resolution than the
        units.
    InversionError
        A unit has no slope for grey or for noise, or its loss does not fall.
    ModelError, QueryError, UnknownLayerError
        As of :func:`invert`.

    References
    ----------
    Erhan, Bengio, Courville & Vincent (2009), Visualizing higher-layer features of a deep network.
    Olah, Mordvintsev & Schubert (2017), doi:10.23915/distill.00007 (jitter).

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 4))
    >>> scale = {"mean": (127.0,) * 3, "std": (128.0,) * 3}
    >>> look = nn.Transform(size=8, crop=1.0, interpolation="bilinear", **scale)
    >>> units = {"1": torch.tensor([True, False, False, False])}
    >>> found = nn.visualise(network, units, transform=look, tv=0, steps=8)
    >>> found.images.shape, found.unit_ids
    ((1, 4, 4, 3), ('1/0',))
    """
    if prior not in ("pyramid", "pixels"):
        raise ActivationsError(f"prior={prior!r} is neither 'pyramid' nor 'pixels'")
    if workers < 1:
        raise ActivationsError(f"workers={workers}; at least 1")
    if transform is None:
        if not isinstance(units, UnitSet):
            raise ActivationsError("units given as masks have no stated preprocessing: transform=")
        transform = published_transform(units)
    how = settings_of(
        prior=prior,
        loss=None,
        optimiser="adam",
        steps=steps,
        lr=lr,
        tv=tv,
        jitter=jitter or 0,
        seed=seed,
        size=size,
        grid=grid,
        channels=3,
        transform=transform,
        preset=None,
    )
    if grid is None:
        how = replace(how, grid=-(-how.size // 2))
    with modes_kept(model), one_thread(), torch.enable_grad():
        model.eval()
        selected = SelectedActivations(model, units, layers=layers, resolution=resolution).eval()
        if len(selected.chosen) > 1:
            names = ", ".join(selected.sizes)
            raise ActivationsError(f"units are of several layers ({names}): ask for each by itself")
        if jitter is None:
            how = replace(how, jitter=_half_step(selected.chosen[0], how.size))
        maker = Maker(selected, how, transform)
        maker.check(None)
        jobs = [_sought(maker, column, name) for column, name in enumerate(selected.unit_ids)]
        found = list(shared(maker, jobs, workers, progress))
    settings = stated(how, transform, selected)
    del settings["loss"]  # of targets
    return Visualisation(
        images=np.stack([image for image, _, _ in found]),
        activations=np.array([own[column] for column, (_, _, own) in enumerate(found)]),
        loss=np.array([losses for _, losses, _ in found], dtype=np.float32),
        unit_ids=selected.unit_ids,
        settings=settings,
    )


def _half_step(layer: LayerUnits, size: int) -> int:
    """Half the distance of two units that are neighbours in the map, in pixels of the picture."""
    sides = [n for axis, n in zip(layer.axes or "", layer.shape, strict=False) if axis in "HW"]
    return min(_MOST, size // max(sides, default=1) // 2)


def _sought(maker: Maker, column: int, name: str) -> Sought:
    """The loss of a unit, and where its search begins: where the unit has a slope."""
    for spread in _SPREADS:
        slope = maker.slope(column, name, spread)
        if slope > 0:
            loss = partial(_negative, column=column, slope=slope)
            return Sought(name=name, loss=loss, least=-np.inf, spread=spread)
    raise InversionError(
        f"unit {name}: its slope is 0 for grey and for noise: there is no way up from either"
    )


def _negative(found: torch.Tensor, *, column: int, slope: float) -> torch.Tensor:
    return -found[column] / slope

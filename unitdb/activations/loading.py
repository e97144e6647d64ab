"""From the spec of a model to a network that is known to work."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from unitdb.activations.axes import AxesMoved, axes_of, features_last, known_axes, likely_axes
from unitdb.activations.checking import check_classification
from unitdb.activations.factory import factory_file_sha256, make_network, weights_sha256
from unitdb.activations.identity import model_packages
from unitdb.activations.layers import LayerInfo, forward
from unitdb.activations.models import ModelSpec
from unitdb.activations.preprocessing import to_tensor
from unitdb.activations.stimuli import Image
from unitdb.activations.threads import network_copies, one_thread
from unitdb.errors import ModelError, UnknownLayerError
from unitdb.resolution import HALF
from unitdb.specs import content_sha256
from unitdb.steady import Guard, Receive, Run, check_same_bits, check_steady
from unitdb.taps import Tap, find_tap

__all__ = ["LoadedModel", "load_model"]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A network in evaluation mode, with what identifies it.

    Parameters
    ----------
    spec : ModelSpec
        What it was made from.
    module : torch.nn.Module
        The network, on the CPU.
    layers : tuple of LayerInfo
        The layers asked for, in the model's order.
    weights_sha256 : str
        Hash of all parameters and buffers.
    model_sha256 : str
        Identity: hash of the spec without its words, of the weights, the factory's file, and the
        versions of the distributions that it uses.
    checked_on : tuple of str
        Shipped photographs that it classified correctly.
    """

    spec: ModelSpec
    module: nn.Module
    layers: tuple[LayerInfo, ...]
    weights_sha256: str
    model_sha256: str
    checked_on: tuple[str, ...]

    def masks(self) -> dict[str, torch.Tensor]:
        """All units of each layer, by the name of its module, as :mod:`unitdb.nn` takes them.

        Returns
        -------
        dict of str to tensor of the layer's shape
            Bool, all true.
        """
        return {info.module: torch.ones(info.shape, dtype=torch.bool) for info in self.layers}


def load_model(
    spec: ModelSpec,
    *,
    folder: Path | None = None,
    seed: int = 0,
    layers: Sequence[str] | None = None,
    data: Path | None = None,
) -> LoadedModel:
    """Make a network, find its layers, and check that it is what decoding takes it for.

    The activation of a picture must be the same alone, in other batches and again; and a network
    with class scores must classify the shipped photographs.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    folder : Path, optional
        The recipe's folder, which files in the spec are relative to.
    seed : int
        Seed of torch while the factory runs.
    layers : sequence of str, optional
        Layers to keep (in the model's order, whatever the order here); all where it is not given.
    data : Path, optional
        Data folder, which downloaded weights are in.

    Raises
    ------
    UnknownLayerError
        A layer asked for is not in the model, or its module is not in the network.
    ModelError
        The network cannot be made, does not take its input, a module does not run once a pass, an
        activation depends on something else than its picture, or it is not clear what the axes of a
        layer are.
    ModelCheckError
        It does not classify the shipped photographs.
    ActivationsError
        A layer's output is not one tensor with the image as first axis.
    """
    if layers is not None and not layers:
        raise ModelError(f"model {spec.name!r}: no layers are asked for")
    for name in layers or ():
        if name not in spec.layers:
            raise UnknownLayerError(name, spec.layers, where=f"model {spec.name!r}")
    network = make_network(spec, folder=folder, seed=seed, data=data)
    taps = _find_taps(network, spec)
    with one_thread():
        with features_last(network) as last:
            moves = AxesMoved()
            shapes, precisions = _measure(network, taps, spec, moves.noted)
        _check_classes(spec, shapes)
        _check_steady(network, spec)
        checked_on = check_classification(network, taps, spec)
    weights = weights_sha256(network)
    identity = {
        "spec": spec.identity(),
        "weights": weights,
        "factory_file": factory_file_sha256(spec, folder=folder),
        "packages": model_packages(spec),
    }
    axes = {
        name: axes_of(
            shapes[name],
            stated=spec.axes,
            layer=name,
            where=f"model {spec.name!r}: layer {name!r}",
            known=known_axes(taps[name].module, shapes[name]),
            likely=likely_axes(
                network, taps[name].module, shapes[name], moved=bool(last) or moves.found
            ),
            error=ModelError,
        )
        for name in spec.layers
    }
    found = (
        LayerInfo(
            name=name,
            depth=depth,
            module=path,
            kind=type(taps[name].module).__name__,
            shape=shapes[name],
            axes=axes[name],
            n_units=math.prod(shapes[name]),
            precision=precisions[name],
        )
        for depth, (name, path) in enumerate(spec.layers.items())
    )
    return LoadedModel(
        spec=spec,
        module=network,
        layers=tuple(layer for layer in found if layers is None or layer.name in layers),
        weights_sha256=weights,
        model_sha256=content_sha256(identity),
        checked_on=checked_on,
    )


def _check_classes(spec: ModelSpec, shapes: Mapping[str, tuple[int, ...]]) -> None:
    for layer, names in spec.classes.items():
        n_units = math.prod(shapes[layer])
        if len(names) != n_units:
            raise ModelError(
                f"model {spec.name!r}: classes: {len(names)} names of layer {layer!r}, which has "
                f"{n_units} units"
            )


def _find_taps(network: nn.Module, spec: ModelSpec) -> dict[str, Tap]:
    known = dict(network.named_modules(remove_duplicate=False))
    where = f"model {spec.name!r}"
    return {name: find_tap(known, path, where=where) for name, path in spec.layers.items()}


def _measure(
    network: nn.Module, taps: Mapping[str, Tap], spec: ModelSpec, guard: Guard
) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Shape of each layer's activation of one image, and the precision that it is computed in."""
    shapes: dict[str, tuple[int, ...]] = {}
    precisions: dict[str, str] = {}
    weights = {str(weight.dtype).removeprefix("torch.") for weight in network.parameters()}

    def receive(name: str, activation: torch.Tensor) -> None:
        # One number an image is a layer of one unit.
        shapes[name] = tuple(activation.shape[1:]) or (1,)
        # Of weights in half precision activations are no better, whatever they are turned to.
        known = weights | {str(activation.dtype).removeprefix("torch.")}
        precisions[name] = next((half for half in HALF if half in known), "float32")

    size = spec.preprocessing.size
    where = f"model {spec.name!r}"
    # Two images: of one, the axis of the image could not be told from another of length 1.
    images = torch.zeros(2, 3, size, size)
    forward(network, images, taps, receive, where=where, guard=guard)
    return shapes, precisions


def _check_steady(network: nn.Module, spec: ModelSpec) -> None:
    """See that activations are a function of the picture, in copies of the network too."""
    where = f"model {spec.name!r}"

    def run_of(of: nn.Module) -> Run:
        taps = _find_taps(of, spec)

        def run(batch: torch.Tensor, receive: Receive, guard: Guard) -> None:
            forward(of, batch, taps, receive, where=where, guard=guard)

        return run

    picture, *mates = (to_tensor(image, spec.preprocessing) for image in _check_pictures(spec))
    alone = check_steady(run_of(network), picture, torch.stack(mates), network=network, where=where)
    for copied in network_copies(network, 2)[1:]:
        check_same_bits(
            alone,
            run_of(copied),
            picture,
            network=network,
            how="in a copy, as threads use",
            where=where,
        )


def _check_pictures(spec: ModelSpec) -> list[Image]:
    """Pictures unlike each other: noise, dimmer, coarser, on white; grey levels, edges, black."""
    size = spec.preprocessing.size
    rng = np.random.Generator(np.random.PCG64(0))
    noise = rng.integers(0, 256, (5, size, size, 3), dtype=np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, size)[:, None, None], (size, size, 3))
    coarse = noise[2][np.arange(size) // 2][:, np.arange(size) // 2]
    return [
        noise[0],
        noise[1] // 4,
        np.full((size, size, 3), 255, np.uint8),
        coarse,
        ramp.astype(np.uint8),
        np.zeros((size, size, 3), np.uint8),
        255 - noise[3] // 2,
        np.where(np.arange(size)[None, :, None] < size // 2, noise[4], 128).astype(np.uint8),
    ]

"""An activation is a function of its picture: the check, alike on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import nn

from unitdb.chance import other_seeds, watch_draws
from unitdb.doubles import in_doubles
from unitdb.errors import ActivationsError, ModelError, UnitdbError

__all__ = [
    "N_MATES",
    "ROUNDING",
    "Guard",
    "Receive",
    "Run",
    "check_same_bits",
    "check_steady",
    "deviation",
]

N_MATES = 7
"""Other pictures that the check takes."""

ROUNDING = 1e-4
"""How far activations in batches of two sizes may be apart, in parts of the unit's range.

The range is that over pictures, which decoding works from. What is farther apart, and by more than
eight digits of float32 of the unit's size, must vanish in double precision, as rounding does.
"""
_PASSES = 10
"""A module is said to draw from Python's generator only if it does so in each of these passes."""
_DIGITS = 8 * torch.finfo(torch.float32).eps
_FALLS = 1e-3
"""In double precision rounding is 2⁻²⁹ of what it was in float32; of a dependence all stays."""

Receive = Callable[[str, torch.Tensor], None]
Guard = Callable[[], AbstractContextManager[object]]
Run = Callable[[torch.Tensor, Receive, Guard], None]
"""Batch, function that gets each layer's activation (n_images, …) in turn, what it runs within."""


def check_steady(
    run: Run, picture: torch.Tensor, mates: torch.Tensor, *, network: nn.Module, where: str
) -> Mapping[str, torch.Tensor]:
    """See that a picture's activation is the same again, to the bit, and in other batches.

    No generator of random numbers may move meanwhile. In batches of 2, 3 and 8 each unit may be
    off by :data:`ROUNDING` of its own range, or by as much as vanishes in double precision.

    Parameters
    ----------
    run : callable
        Batch, receiver, guard → each layer's activation goes to the receiver.
    picture : tensor of shape (channels, height, width)
        As the network takes it.
    mates : tensor of shape (7, channels, height, width)
        Other pictures, that share a batch with it.
    network : torch.nn.Module
        Whose buffers must stay as they are, and whose modules the message names.
    where : str
        The model, for messages.

    Returns
    -------
    mapping of str to tensor
        Its activation alone.

    Raises
    ------
    ModelError
        It is not; names the first layer, by how much, and what modules may be the reason; or the
        module that draws random numbers.
    ActivationsError
        An activation of the picture is infinite or NaN.
    """
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    try:
        alone = _rows(run, picture[None], 0)
        for layer, activation in alone.items():
            _check_finite(activation, where=f"{where}: layer {layer!r}")
        _check_chance(run, picture, network, where)
        check = _Comparison(alone, network, where)
        check.same(_again(run, picture), "asked for again")
        for batch, place in (
            ([*mates[:4], picture, *mates[4:]], 4),  # the first tells the ranges of units
            ([mates[0], picture], 1),
            ([picture, *mates[1:3]], 0),
        ):
            check.batch(run, torch.stack(batch), place)
        check.same(_again(run, picture), "asked for again after other pictures")
    except UnitdbError:
        raise
    except (RuntimeError, ValueError) as cause:
        raise ModelError(
            f"{where}: the network does not take a picture alone and with others: {cause}"
        ) from cause
    for name, buffer in network.named_buffers():
        if name not in before or not _equal(before[name], buffer):
            raise ModelError(
                f"{where}: the network's state {name!r} changes as pictures pass, in evaluation "
                "mode too; an activation must depend on its picture alone"
            )
    return alone


def check_same_bits(
    alone: Mapping[str, torch.Tensor],
    run: Run,
    picture: torch.Tensor,
    *,
    network: nn.Module,
    how: str,
    where: str,
) -> None:
    """See that another network, or the same again, gives the same activations to the bit.

    Parameters
    ----------
    alone : mapping of str to tensor
        Each layer's activation of the picture, as of :func:`check_steady`.
    run, picture, network, where
        As of :func:`check_steady`.
    how : str
        What is different, for messages.

    Raises
    ------
    ModelError
        It does not; names the first layer.
    """
    _Comparison(alone, network, where).same(_rows(run, picture[None], 0), how)


_Rows = dict[str, torch.Tensor]


def _rows(run: Run, batch: torch.Tensor, place: int, guard: Guard = torch.inference_mode) -> _Rows:
    rows: _Rows = {}

    def receive(layer: str, activation: torch.Tensor) -> None:
        rows[layer] = activation[place].clone()

    run(batch, receive, guard)
    return rows


def _again(run: Run, picture: torch.Tensor) -> _Rows:
    # A network that draws and gives the state back is seen where it finds another.
    with other_seeds():
        return _rows(run, picture[None], 0)


def _check_finite(activation: torch.Tensor, *, where: str) -> None:
    finite = activation.isfinite().flatten()
    if not finite.all():
        value = float(activation.flatten()[~finite][0])
        raise ActivationsError(
            f"{where}: {int((~finite).sum())} of {len(finite)} activations of one picture are not "
            f"finite, the first is {'NaN' if value != value else value}; see whether weights are"
        )


def _check_chance(run: Run, picture: torch.Tensor, network: nn.Module, where: str) -> None:
    # Other threads may draw from Python's generator meanwhile; those of Dask do so each second. A
    # module that draws itself does so in each pass; of others that holds by chance alone, where one
    # module takes most of a pass of seconds.
    accused = {path for path, _ in network.named_modules()}
    path = which = ""
    for _ in range(_PASSES):
        with other_seeds(), watch_draws(network) as draws:
            _rows(run, picture[None], 0)
        own = [draw for draw in draws if draw[1] != "Python"]
        if own:
            path, which = own[0]
            break
        accused &= {path for path, _ in draws}
        if not accused:
            return
        path, which = next(draw for draw in draws if draw[0] in accused)
    module = dict(network.named_modules())[path]
    raise ModelError(
        f"{where}: module {path or type(module).__name__!r} ({type(module).__name__}) draws random "
        f"numbers (generator: {which}) in evaluation mode; an activation must depend on its "
        "picture alone"
    )


class _Comparison:
    """A picture's activations alone, held against those of other passes."""

    def __init__(self, alone: Mapping[str, torch.Tensor], network: nn.Module, where: str) -> None:
        self._alone, self._network, self._where = alone, network, where
        self._ranges: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def same(self, found: _Rows, how: str) -> None:
        """The same bits; on other devices than the CPU, whose sums may have any order, nearly."""
        for layer, activation in self._alone.items():
            other = found[layer]
            if activation.shape != other.shape:
                self._refuse(layer, how, "shape")
            x, y = activation.double(), other.double()
            near = 0.0 if activation.device.type == "cpu" else _digits(activation.dtype)
            apart = (x - y).abs()
            if not bool((apart <= near * x.abs()).all()):
                self._refuse(layer, how, f"{float(apart.max()):.2g}")

    def batch(self, run: Run, batch: torch.Tensor, place: int) -> None:
        """The same but for rounding."""
        apart: _Rows = {}  # of the layers where any unit is far off
        how = f"alone and in a batch of {len(batch)}"

        def receive(layer: str, activation: torch.Tensor) -> None:
            if activation.shape[1:] != self._alone[layer].shape:
                self._refuse(layer, how, "shape")
            if layer not in self._ranges:
                rows = activation.double()
                self._ranges[layer] = (rows.amax(0) - rows.amin(0), rows.abs().amax(0))
            between = (self._alone[layer].double() - activation[place].double()).abs()
            if bool((~(between <= self._rounding(layer))).any()):
                apart[layer] = between

        run(batch, receive, torch.inference_mode)
        if apart:
            self._check_vanishes(run, batch, place, apart, how)

    def _rounding(self, layer: str) -> torch.Tensor:
        over_pictures, size = self._ranges[layer]
        return torch.maximum(ROUNDING * over_pictures, _DIGITS * size)

    def _check_vanishes(
        self, run: Run, batch: torch.Tensor, place: int, apart: _Rows, how: str
    ) -> None:
        """See that what is apart was rounding: in double precision next to nothing is left."""
        inputs = batch.double() if batch.is_floating_point() else batch
        try:
            first = _rows(run, inputs[place][None], 0, in_doubles)
            second = _rows(run, inputs, place, in_doubles)
            left = {
                layer: (first[layer].double() - second[layer].double()).abs() for layer in apart
            }
        except Exception:  # kernels without float64: then by the digits of the type
            left = {}
        for layer, between in apart.items():
            far = ~(between <= self._rounding(layer))
            if layer in left:
                wrong = far & ~(left[layer] <= _FALLS * between)
            else:
                digits = max(ROUNDING, _digits(self._alone[layer].dtype))
                wrong = far & ~(between <= digits * self._ranges[layer][1])
            if bool(wrong.any()):
                worst = float(
                    (between / self._ranges[layer][1])[wrong].nan_to_num(float("inf")).max()
                )
                self._refuse(layer, how, f"{worst:.2g} of a unit's largest")

    def _refuse(self, layer: str, how: str, by: str) -> None:
        raise ModelError(
            f"{self._where}: layer {layer!r}: the activation of one picture differs, {how}, by "
            f"{by}; it must depend on the picture alone, not on the rest "
            f"of the batch, chance or what was before{_suspects(self._network)}"
        )


def _digits(dtype: torch.dtype) -> float:
    return 16 * torch.finfo(dtype).eps if dtype.is_floating_point else 0.0


def deviation(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return max |x − y| / max(|x|, |y|, median): how far two activations are apart.

    The median of all sizes that are not 0 stands for that of a unit where these pictures tell
    none; a few large ones do not hide others. 0 where both are the same, infinite where neither.

    Parameters
    ----------
    first, second : tensor
        Real, of any shape.
    """
    if first.shape != second.shape:
        return float("inf")
    x, y = first.double(), second.double()
    differ = ~((x == y) | (x.isnan() & y.isnan()))
    if not bool(differ.any()):
        return 0.0
    sizes = torch.maximum(x.abs(), y.abs())
    usual = float(sizes[sizes > 0].median())
    away = float(((x - y).abs() / sizes.clamp(min=usual))[differ].max())
    return away if away == away else float("inf")


def _equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and bool(
        torch.equal(first.nan_to_num(), second.nan_to_num())
    )


def _suspects(network: nn.Module) -> str:
    """Modules that are known to do such things, for the message."""
    found = [
        f"{path or type(module).__name__!r} ({reason})"
        for path, module in network.named_modules()
        if (reason := _reason(module))
    ]
    return f"; see {', '.join(found[:3])}" if found else ""


def _reason(module: nn.Module) -> str:
    if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is None:
        instance = isinstance(module, nn.modules.instancenorm._InstanceNorm)
        return "" if instance else f"{type(module).__name__} without running statistics"
    return f"{type(module).__name__} in training mode" if module.training else ""

"""Receptive fields against their closed form, and the pixels that move a unit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from unitdb.activations import ModelSpec, Preprocessing, fields as fields_, load_model
from unitdb.activations.fields import Fields, receptive_fields

SIZE = 23
# Kernel, stride, padding and dilation of each step that mixes pixels.
STEPS = {
    "0": (5, 2, 2, 1),
    "2": (3, 1, 1, 1),
    "4": (3, 2, 0, 1),
    "6": (3, 1, 2, 2),
    "7": (2, 2, 0, 1),
}
NETWORK = """
from torch import nn


class Checked(nn.Sequential):
    def forward(self, x):
        if x.isnan().any():
            raise ValueError("not a number")
        return super().forward(x)


class Wide(nn.Module):
    def forward(self, x):
        return x + x.sum(dim=2, keepdim=True) if x.shape[3] > 6 else x


def make(whole=False, checked=False, fixed=False, wide=False):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2, padding=2), nn.ReLU6(),
        nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4),
        nn.MaxPool2d(3, 2), nn.Hardswish(),
        nn.Conv2d(4, 2, 3, padding=2, dilation=2), nn.AvgPool2d(2),
    )
    if whole:
        network.append(nn.Softmax(dim=-1))
    if wide:
        network[1] = Wide()
    network.append(nn.Flatten())
    if fixed:
        network.append(nn.Linear(8, 2))
    for weight in network.parameters():
        nn.init.zeros_(weight)
    return Checked(*network) if checked else network
"""


def load(folder: Path, layers: list[str], **options: bool):
    (folder / "net.py").write_text(NETWORK)
    spec = ModelSpec(
        name="net",
        title="net",
        factory="net.py:make",
        factory_options=dict(options),
        preprocessing=Preprocessing(size=SIZE, mean=(0, 0, 0), std=(1, 1, 1)),
        layers={f"at{layer}": layer for layer in layers},
        licence="none",
        source="none",
        citation="none",
        check=None,
    )
    return load_model(spec, folder=folder)


def closed_form(steps: list[tuple[int, ...]], n: int) -> tuple[tuple[int, ...], ...]:
    """First and last pixel of each place: back through the steps, cut at the picture's edge.

    A step is its kernel, stride, padding before the picture, dilation; and how many places it has.
    """
    sizes = [n]
    for kernel, stride, padding, dilation, *size in steps:
        usual = (sizes[-1] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        sizes.append(size[0] if size else usual)
    ends = []
    for place in range(sizes[-1]):
        first = last = place
        for (kernel, stride, padding, dilation, *_), before in zip(
            reversed(steps), reversed(sizes[:-1]), strict=True
        ):
            taps = [
                at * stride - padding + dilation * tap
                for at in range(first, last + 1)
                for tap in range(kernel)
            ]
            there = [at for at in taps if 0 <= at < before]
            first, last = min(there), max(there)
        ends.append((first, last))
    return tuple(zip(*ends, strict=True))


def test_fields_of_a_stack_are_those_of_the_closed_form(tmp_path: Path) -> None:
    # All weights are 0: what can reach a unit does not depend on them, as gradients would.
    names = list(STEPS)
    found = receptive_fields(load(tmp_path, [*names, "8"]))
    assert list(found) == [f"at{name}" for name in names]  # a vector has no places
    for number, name in enumerate(names, 1):
        first, last = closed_form([STEPS[one] for one in names[:number]], SIZE)
        assert found[f"at{name}"] == Fields(top=first, bottom=last, left=first, right=last)


def test_what_sees_all_columns_says_so_of_columns_alone(tmp_path: Path) -> None:
    found = receptive_fields(load(tmp_path, ["7", "8"], whole=True))
    before, after = found["at7"], found["at8"]
    assert (after.top, after.bottom) == (before.top, before.bottom)
    n = len(before.left)
    assert after.left == (min(before.left),) * n
    assert after.right == (max(before.right),) * n


def test_a_network_that_refuses_what_is_no_number_has_no_fields(tmp_path: Path) -> None:
    assert receptive_fields(load(tmp_path, ["0"], checked=True)) == {}


@pytest.mark.parametrize("option", ["strips", "fixed", "wide"])
def test_strips_are_asked_where_they_answer_as_pictures_do(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As another network, a fixed one takes pictures of one size; a wide one reaches less in strips.
    model = load(tmp_path, ["0", "2", "4"], **({} if option == "strips" else {option: True}))
    expected = receptive_fields(model)
    assert (len(set(expected["at4"].top)) == 1) == (option == "wide")
    widths = []
    model.module.register_forward_pre_hook(lambda _, given: widths.append(given[0].shape[-2:]))
    monkeypatch.setattr(fields_, "_STRIP", 12)
    assert receptive_fields(model) == expected
    passes = [min(shape) for shape in widths]
    assert (passes.count(12) > 2 * SIZE) == (option == "strips")  # of both axes


def test_pixels_outside_the_field_do_not_move_a_unit(tmp_path: Path) -> None:
    model = load(tmp_path, ["7"])
    for weight in model.module.parameters():
        nn.init.normal_(weight, generator=torch.Generator().manual_seed(1))
    fields = receptive_fields(model)["at7"]
    picture = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    picture.requires_grad_()
    model.module[:8](picture)[0, :, 1, 1].sum().backward()
    moved = picture.grad.abs().sum(dim=(0, 1)).nonzero()
    assert moved[:, 0].min() >= fields.top[1]
    assert moved[:, 0].max() <= fields.bottom[1]
    assert moved[:, 1].min() >= fields.left[1]
    assert moved[:, 1].max() <= fields.right[1]
    assert len(moved)


@pytest.mark.slow
def test_fields_of_efficientnet_follow_from_its_convolutions() -> None:
    from unitdb.activations import MODELS

    model = load_model(MODELS["efficientnet-lite0"], layers=["stem", "block1", "block4", "block15"])
    steps: list[tuple[int, ...]] = []
    expected, size = {}, 224
    blocks = {f"block{number}": block for number, block in enumerate(model.module._blocks)}
    parts = {"stem": model.module._conv_stem, **blocks}
    for name, part in parts.items():
        for conv in [one for one in part.modules() if isinstance(one, nn.Conv2d)]:
            (kernel, _), (stride, _) = conv.kernel_size, conv.stride
            after = -(-size // stride)  # TensorFlow's padding, which is less before than after
            padding = max((after - 1) * stride + kernel - size, 0) // 2
            steps.append((kernel, stride, padding, 1, after))
            size = after
        expected[name] = closed_form(steps, 224)
    for name, fields in receptive_fields(model).items():
        assert (fields.left, fields.right) == expected[name], name
        assert (fields.top, fields.bottom) == expected[name], name

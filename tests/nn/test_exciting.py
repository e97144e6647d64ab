"""The pictures at both ends are those of a plain sort over all activations."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch

from tests.nn.conftest import LAYERS
from unitdb import nn
from unitdb.errors import (
    ActivationsError,
    ModelError,
    PictureError,
    QueryError,
)
from unitdb.responses.stimuli import folder_stimuli
from unitdb.responses.stimuli_spec import FolderStimuli


def transform(image: PIL.Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures, two of them the same, in two folders; and what is no picture."""
    rng = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / ("a" if number % 2 else "b/c") / f"{number:02d}.PNG"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(path)
    (tmp_path / "b/c/04.PNG").write_bytes((tmp_path / "a/01.PNG").read_bytes())
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    return tmp_path


@pytest.mark.parametrize("batch_size", [1, 5, 100])
@pytest.mark.parametrize("n", [1, 4, 12, 20])
def test_it_is_a_sort(net, units, folder, n, batch_size):
    found = nn.most_exciting_images(
        units, folder, model=net, transform=transform, n=n, batch_size=batch_size, layers=LAYERS
    )
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("**/*.PNG"))
    batch = torch.stack([transform(PIL.Image.open(folder / name)) for name in names])
    selected = nn.SelectedActivations(net, units, layers=LAYERS)
    activations = selected(batch).detach().numpy()
    assert found["unit_id"].drop_duplicates().tolist() == list(selected.unit_ids)
    for column, unit in enumerate(selected.unit_ids):
        values = activations[:, column]
        for end, sign in (("most", -1), ("least", 1)):
            rows = found[(found["unit_id"] == unit) & (found["end"] == end)]
            assert rows["place"].tolist() == list(range(1, min(n, 12) + 1))
            expected = np.sort(sign * values)[:n] * sign
            np.testing.assert_allclose(rows["activation"], expected, atol=1e-6)
            shown = values[[names.index(name) for name in rows["image"]]]
            np.testing.assert_allclose(rows["activation"], shown, atol=1e-6)


@pytest.mark.robust(
    "numbers",
    given="equal pictures in other rows of a batch, on a processor whose last rows round otherwise",
    before="other activations: which of them is first is rounding's to say",
    now="pictures go through a network alone: equal ones have equal activations",
)
def test_of_equal_pictures_the_first_path_is_first(net, units, folder):
    # As libraries do that take another kernel for what is left of a batch.
    def rounds_by_place(_module, _images, output):
        return output * (1 + torch.arange(len(output)).view(-1, *[1] * (output.ndim - 1)) * 2e-7)

    for path in LAYERS.values():
        net.get_submodule(path).register_forward_hook(rounds_by_place)
    found = nn.most_exciting_images(
        units, folder, model=net, transform=transform, n=12, layers=LAYERS
    )
    for _, rows in found.groupby(["unit_id", "end"]):
        images = rows["image"].tolist()
        assert images.index("a/01.PNG") + 1 == images.index("b/c/04.PNG")


def test_the_table_says_where_its_units_are_from(net, units, folder):
    ask = {"model": net, "transform": transform, "layers": LAYERS}
    found = nn.most_exciting_images(units, folder, **ask)
    assert found.attrs == units.to_pandas().attrs
    assert found.attrs["simulated"]
    assert not nn.most_exciting_images(units.masks(), folder, **ask).attrs


def test_pictures_of_other_kinds_become_rgb_and_upright(tmp_path):
    grey = PIL.Image.new("L", (4, 2), 100)
    grey.putpixel((0, 0), 200)
    turned = grey.getexif()
    turned[0x0112] = 6  # turn by a quarter
    grey.save(tmp_path / "turned.png", exif=turned)
    seen = []
    network = torch.nn.Sequential(torch.nn.Flatten())
    nn.most_exciting_images(
        {"0": torch.ones(24, dtype=torch.bool)},
        tmp_path,
        model=network,
        transform=lambda image: seen.append(image) or transform(image),
    )
    (image,) = seen
    assert (image.mode, image.size) == ("RGB", (2, 4))
    assert image.getpixel((1, 0)) == (200, 200, 200)


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_picture_that_cannot_be_read_is_named(net, units, folder, damage):
    path = folder / "a" / "03.PNG"
    path.write_bytes(path.read_bytes()[:50] if damage == "cut" else b"no picture at all")
    with pytest.raises(PictureError, match=r"a/03.PNG: cannot be read as a picture"):
        nn.most_exciting_images(units, folder, model=net, transform=transform, layers=LAYERS)


@pytest.mark.robust(
    "pictures",
    given="a folder of pictures in which another is linked, or a picture was not downloaded",
    before="`nn.most_exciting_images` looked at neither and said nothing; datasets did not look "
    "into the linked folder",
    now="linked folders are looked into, once each on the way; not downloaded is an error",
)
def test_linked_pictures_are_pictures(net, units, folder, tmp_path_factory):
    def found():
        table = nn.most_exciting_images(
            units, folder, model=net, transform=transform, n=12, layers=LAYERS
        )
        return table["image"].tolist()

    expected = found()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "a").rename(elsewhere / "pictures")
    (folder / "a").symlink_to(elsewhere / "pictures")
    (elsewhere / "pictures" / "circle").symlink_to(folder)
    assert found() == expected
    spec = FolderStimuli(kind="folder", folder=folder.name, ending=".PNG")
    assert set(folder_stimuli(spec, folder.parent).sources) == set(expected)
    (folder / "a" / "99.PNG").symlink_to(".git/annex/objects/nothing.PNG")
    with pytest.raises(PictureError, match=r"99\.PNG: not downloaded"):
        found()


def test_folders_that_hold_none(net, units, tmp_path):
    for folder, message in ((tmp_path, "holds no picture"), (tmp_path / "no", "no such folder")):
        with pytest.raises(PictureError, match=message):
            nn.most_exciting_images(units, folder, model=net, transform=transform, layers=LAYERS)


def test_what_is_refused(net, units, folder):
    ask = {"model": net, "layers": LAYERS}
    with pytest.raises(QueryError, match="at least 1"):
        nn.most_exciting_images(units, folder, transform=transform, n=0, **ask)
    with pytest.raises(ActivationsError, match="transform gives Image, not a tensor"):
        nn.most_exciting_images(units, folder, transform=lambda image: image, **ask)
    with pytest.raises(ActivationsError, match="as masks have no stated preprocessing"):
        nn.most_exciting_images(units.masks(), folder, **ask)
    with pytest.raises(ModelError, match="does not state the preprocessing of model 'net'"):
        nn.most_exciting_images(units, folder, **ask)
    for batch_size in (1, 5):
        shapes = iter([(3, 5, 5), (3, 6, 5)])
        with pytest.raises(ActivationsError, match=r"a/03.PNG: transform gives shape \(3, 6, 5\)"):
            nn.most_exciting_images(
                units,
                folder,
                transform=lambda _, shapes=shapes: torch.zeros(next(shapes)),
                batch_size=batch_size,
                **ask,
            )


@pytest.mark.robust(
    "networks",
    given="a network in nn.most_exciting_images or nn.brain_readout whose activations depend on "
    "the batch or on chance",
    before="a ranking that is another one with another batch size",
    now="an error that names the layer",
)
@pytest.mark.parametrize(
    "odd", [lambda x: x - x.mean(0), lambda x: torch.nn.functional.dropout(x, 0.5)]
)
def test_activations_that_depend_on_more_than_the_picture(net, units, folder, odd):
    net.features[0].register_forward_hook(lambda _m, _i, output: odd(output))
    for method in (
        lambda: nn.most_exciting_images(
            units, folder, model=net, transform=transform, layers=LAYERS
        ),
        lambda: nn.brain_readout(net, units, torch.rand(4, 3, 5, 5), layers=LAYERS),
    ):
        with pytest.raises(ModelError, match=r"the network: (layer|module) .* picture"):
            method()

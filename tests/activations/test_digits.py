"""What activations are given in, and what single precision keeps of it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.activations.conftest import LAYERS, SOURCE, make_stimuli, write_model
from unitdb.activations import FeatureModel, UnitSelection, extract, load_features, load_model
from unitdb.errors import ActivationsError
from unitdb.resolution import SINGLE

N = 7
ALL = UnitSelection(sample=None)

LAST = """class Last(nn.Module):
    def forward(self, x):
        return CHANGED


class Tiny"""


def features(folder, values, **changes):
    (folder / "f").mkdir(exist_ok=True)
    (folder / "f" / "stimuli.txt").write_text("".join(f"s{i}\n" for i in range(N)))
    np.save(folder / "f" / "L.npy", values)
    spec = FeatureModel.model_validate(
        {
            "name": "mine",
            "title": "t",
            "features": {"folders": ["f"], "format": "stacked", **changes},
            "layers": {"L": "L"},
            "licence": "l",
            "source": "s",
            "citation": "c",
        }
    )
    model = load_features(spec, folder=folder)
    return extract(model, make_stimuli(N), folder=folder / "store", units=ALL)


def network(folder, change):
    source = SOURCE.replace("class Tiny", LAST.replace("CHANGED", change))
    source = source.replace("self.drop = ", "self.last = Last()\n        self.drop = ")
    source = source.replace(
        "return self.fc(self.drop(torch.flatten(x, 1)))",
        "return self.last(self.fc(self.drop(torch.flatten(x, 1))))",
    )
    return load_model(write_model(folder, source, layers={**LAYERS, "last": "last"}), folder=folder)


@pytest.mark.parametrize(
    ("dtype", "changes", "resolution"),
    [
        ("f2", {}, 2.0**-7),
        ("f4", {}, SINGLE),
        ("f8", {}, SINGLE),
        ("i2", {}, SINGLE),
        ("?", {}, SINGLE),
        ("f4", {"precision": "bfloat16"}, 2.0**-4),
        ("f8", {"precision": "float16"}, 2.0**-7),
    ],
)
def test_a_store_knows_what_features_were_computed_in(tmp_path, dtype, changes, resolution):
    values = (10 * np.random.default_rng(0).normal(size=(N, 6))).astype(dtype)
    store = features(tmp_path, values, **changes)
    assert store.resolution("L") == resolution
    np.testing.assert_array_equal(store.block("L", 0, 6), values.astype(np.float32))


def test_a_store_knows_what_a_layer_was_computed_in(tmp_path):
    store = extract(
        network(tmp_path, "(100 + x).bfloat16()"), make_stimuli(N), folder=tmp_path / "s", units=ALL
    )
    assert [store.resolution(name) for name in store.layers] == [SINGLE] * 3 + [2.0**-4]


OFFSET = np.random.default_rng(0).normal(size=(N, 6))


@pytest.mark.robust(
    "networks",
    given="float64 features of 1e-50, or of 1e9 ± 1; int64 ones around 2⁶²",
    before="all units NULL, without a word: float32 makes 0, or one value, of them",
    now="an error that names the layer and a unit's values: subtract a constant, or scale",
)
@pytest.mark.parametrize(
    "values",
    [
        OFFSET * 1e-50,
        OFFSET * 1e-44,
        OFFSET + 1e9,
        2**40 + np.round(OFFSET * 100).astype(np.int64),
        2**62 + np.round(OFFSET * 1000).astype(np.int64),
    ],
)
def test_values_of_which_float32_keeps_rounding_alone_are_refused(tmp_path, values):
    with pytest.raises(ActivationsError, match=r"layer 'L': unit \d takes values from .* scale it"):
        features(tmp_path, values)


@pytest.mark.parametrize(
    "values",
    [
        OFFSET,
        OFFSET * 1e-30,
        OFFSET + 1000,
        np.round(OFFSET * 100).astype(np.int64),
        (OFFSET > 0).astype(np.int64) + 2**20,  # a step of float32, exactly held
        np.zeros((N, 6)),
        np.full((N, 6), 0.1) + 1e-17 * np.round(OFFSET),  # rounding as given
        (5.885 + 1e-6 * OFFSET).astype(np.float32).astype(np.float64),  # computed in float32
        np.where(np.arange(6) < 2, OFFSET * 1e-50, OFFSET),  # a few units
    ],
)
def test_values_that_float32_holds_are_taken(tmp_path, values):
    store = features(tmp_path, values)
    np.testing.assert_array_equal(store.block("L", 0, 6), values.astype(np.float32))


def test_networks_of_more_digits_are_refused_alike(tmp_path):
    model = network(tmp_path, "1e10 + x.double()")
    with pytest.raises(ActivationsError, match="layer 'last': unit 0 takes values"):
        extract(model, make_stimuli(N), folder=tmp_path / "s", units=ALL)

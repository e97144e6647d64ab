"""Generators as priors of recipes: a factory's, one trained here, and faces for any brain."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import unitdb
from tests.pipeline.pictured import lay_out_lab, picture
from tests.pipeline.small import run
from unitdb import nn
from unitdb.errors import ModelError, RecipeError

GENERATOR = """
import torch
from torch import nn


def make(side=12):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 3 * side * side), nn.Tanh(), nn.Unflatten(1, (3, side, side)))
"""

ASKED = """
  - {{name: ridge, kind: ridge, size: 8, controls: 1, subjects: [sub-01], images: 2}}
  - {{name: generated, kind: inversion, layers: [conv], controls: 1, subjects: [sub-01], images: 4,
     prior: {{generator: {{{generator}}}, steps: {steps}}}}}
"""


def lay_out_prior(folder, generator, steps=10):
    recipe = lay_out_lab(folder, ASKED.format(generator=generator, steps=steps))
    (folder / "gen.py").write_text(GENERATOR)
    return recipe


def test_pictures_are_sought_among_those_of_a_generator(tmp_path):
    asked = "factory: 'gen.py:make', latent: [5], output: [-1, 1], start: 1, lower: -2, upper: 2"
    recipe = lay_out_prior(tmp_path, asked)
    first = unitdb.open(run(recipe))
    rows = first.sql("SELECT * FROM reconstruction WHERE method = 'generated' AND loss IS NOT NULL")
    assert set(rows["source"]) == {"brain", "shuffled", "recovery", "projection"}
    assert (rows["width"] == 12).all()
    methods = first.table("reconstruction_method").set_index("method")
    settings = json.loads(methods.loc["generated", "settings"])
    assert settings["prior"]["generator"]["latent"] == [5]
    # What five numbers can paint, whatever the brain.
    basis = np.linalg.qr(_weights(tmp_path / "gen.py"))[0]
    for png in rows["png"]:
        levels = np.arctanh((picture(png).transpose(2, 0, 1).ravel() / 127.5 - 1).clip(-0.98, 0.98))
        inside = basis @ (basis.T @ levels)
        assert np.corrcoef(levels, inside)[0, 1] > 0.99
    # Another generator is another build.
    (tmp_path / "gen.py").write_text(GENERATOR.replace("manual_seed(3)", "manual_seed(4)"))
    text = recipe.read_text().replace("version: 1.0.0", "version: 1.0.1")
    recipe.write_text(text)
    assert unitdb.open(run(recipe)).table("builds")["build"][0] != first.table("builds")["build"][0]


def _weights(path):
    made: dict[str, object] = {}
    exec(path.read_text(), made)  # noqa: S102 - the text above
    linear = made["make"]()[0]
    return np.column_stack([linear.weight.detach().numpy(), linear.bias.detach().numpy()])


def test_a_generator_trained_here_is_a_prior(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
    vectors = pictures.reshape(9, -1)[:, ::50].astype(float)
    trained = nn.train_generator(vectors, pictures, training=nn.Training(steps=3, batch=4))
    recipe = lay_out_prior(tmp_path, "file: trained.pt", steps=5)
    trained.save(tmp_path / "trained.pt")
    release = unitdb.open(run(recipe))
    rows = release.sql("SELECT * FROM reconstruction WHERE method = 'generated' AND loss > 0")
    assert (rows["width"] == 16).all()
    assert "trained.pt" in {path.rsplit("/", 1)[-1] for path in release.table("inputs")["path"]}


@pytest.mark.robust(
    "recipes",
    given="a generator as prior that is no network, has another latent, gives no square picture, "
    "or is said in two ways",
    before="there was no such prior",
    now="one error that names the method, before anything is computed",
)
@pytest.mark.parametrize(
    ("generator", "error", "says"),
    [
        ("factory: 'gen.py:made', latent: [5]", ModelError, "generator: .* no callable 'made'"),
        ("factory: 'gen.py:make', latent: [6]", ModelError, r"no latent of shape \[6\]"),
        ("factory: 'gen.py:make'", RecipeError, "`latent`"),
        ("latent: [5]", RecipeError, "say one of `file` and `factory`"),
        ("file: absent.pt", ModelError, "there is no such file"),
        ("file: x.pt, output: [0, 1]", RecipeError, "`output` goes with `factory`"),
    ],
)
def test_what_is_no_generator_is_said_first(tmp_path, generator, error, says):
    recipe = lay_out_prior(tmp_path, generator)
    with pytest.raises(error, match=says):
        run(recipe)
    assert not (tmp_path / "releases" / "small").exists()


FACES = """
from importlib.resources import files

import torch
from gan_face_generate.models import Generator


def make():
    network = Generator(0, 3, 100, 64)
    weights = files("gan_face_generate") / "weights.tar"
    state = torch.load(weights, map_location="cpu", weights_only=True)
    network.load_state_dict(state["netG_state_dict"])
    return network
"""


def test_a_generator_of_faces_gives_faces_of_shuffled_brains_too(tmp_path):
    pytest.importorskip("gan_face_generate", reason="pip install --no-deps gan-face-generate")
    asked = "factory: 'gen.py:make', latent: [100, 1, 1], output: [-1, 1], start: 1, decay: 0.01"
    recipe = lay_out_prior(tmp_path, asked, steps=20)
    (tmp_path / "gen.py").write_text(FACES)
    release = unitdb.open(run(recipe))
    made: dict[str, object] = {}
    exec(FACES, made)  # noqa: S102 - the text above
    with torch.no_grad():
        latents = torch.randn(64, 100, 1, 1, generator=torch.Generator().manual_seed(0))
        mean = made["make"]().eval()(latents).mean(0).permute(1, 2, 0).numpy()
    rows = release.sql("SELECT source, png FROM reconstruction WHERE method = 'generated'")
    for source in ("brain", "shuffled"):
        faces = [picture(png) for png in rows[rows["source"] == source]["png"]]
        assert len(faces) == 4
        alike = [np.corrcoef(face.ravel(), mean.ravel())[0, 1] for face in faces]
        assert np.mean(alike) > 0.2

"""Blurred versions of stimuli: pixel by pixel against a loop; their ids, sources and identity."""

from __future__ import annotations

from math import exp
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from unitdb.errors import DatasetError, StimulusMismatchError
from unitdb.responses import Dataset, DatasetSpec, blur_picture
from unitdb.specs import read_spec

YAML = """
name: mine
title: Mine
description: A test.
licence: CC0-1.0
source: a test
citation: none
subjects: [s1]
rois: {V1: early}
stimuli:
  kind: folder
  folder: pictures
  ending: .png
  shown: {terms: mine, except_sources: [secret.png]}
  blurred: {kind: box, levels: {._3: 0.9, ._1: 0.4}, of: [pic-*, secret*]}
responses:
  kind: arrays
  file: "{subject}.npz"
  train: {responses: x}
  tests:
    seen: {responses: y}
  masks: {V1: null}
"""


def picture(height=7, width=9, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for seed, name in enumerate(("pic-1", "pic-2", "other", "secret")):
        Image.fromarray(picture(seed=seed)).save(tmp_path / "pictures" / f"{name}.png")
    return tmp_path


def opened(folder: Path, *changes: tuple[str, str]) -> Dataset:
    text = YAML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "d.yaml").write_text(text)
    spec = read_spec(folder / "d.yaml", DatasetSpec, DatasetError)
    return Dataset(spec=spec, data=folder, cache=folder)


def slow_blur(image, weight_of, reach):
    """Weighted mean over the pixels that there are."""
    height, width, _ = image.shape
    found = np.empty_like(image)
    for y in range(height):
        for x in range(width):
            for colour in range(3):
                total = weights = 0
                for v in range(max(y - reach, 0), min(y + reach + 1, height)):
                    for u in range(max(x - reach, 0), min(x + reach + 1, width)):
                        weight = weight_of(v - y, u - x)
                        total += weight * int(image[v, u, colour])
                        weights += weight
                found[y, x, colour] = np.floor(total / weights + 0.5)
    return found


@given(
    height=st.integers(1, 10),
    width=st.integers(1, 10),
    size=st.floats(0.05, 1),
    seed=st.integers(0, 99),
)
def test_a_box_is_the_mean_of_a_square_cut_at_the_edges(height, width, size, seed):
    image = picture(height, width, seed)
    shorter = min(height, width)
    sides = np.arange(1, 2 * shorter + 2, 2)
    side = sides[np.abs(sides - size * shorter).argmin()]
    expected = slow_blur(image, lambda *_: 1, int(side) // 2)
    near = np.abs(np.diff(np.sort(np.abs(sides - size * shorter)))[:1]) < 1e-9
    if not near:  # between two odd numbers
        np.testing.assert_array_equal(blur_picture(image, kind="box", size=size), expected)


@given(size=st.floats(0.02, 0.5), seed=st.integers(0, 99))
def test_a_gaussian_is_cut_at_four_sds_and_at_the_edges(size, seed):
    image = picture(6, 8, seed)
    sd = size * 6
    found = blur_picture(image, kind="gaussian", size=size)
    expected = slow_blur(
        image, lambda dy, dx: exp(-(dy**2 + dx**2) / (2 * sd**2)), int(4 * sd + 1e-12)
    )
    assert np.abs(found.astype(int) - expected).max() <= 1  # a half may be rounded either way
    assert (found == expected).mean() > 0.99


@pytest.mark.parametrize("kind", ["box", "gaussian"])
def test_one_colour_stays_as_it_is_and_much_blur_leaves_the_mean(kind):
    flat = np.full((5, 6, 3), 200, dtype=np.uint8)
    np.testing.assert_array_equal(blur_picture(flat, kind=kind, size=0.4), flat)
    image = picture(5, 5)
    assert blur_picture(image, kind=kind, size=1.0).std() < 0.6 * image.std()
    np.testing.assert_array_equal(blur_picture(image, kind=kind, size=1e-3), image)


def test_versions_are_stimuli_with_ids_sources_and_hashes_of_their_own(folder):
    stimuli = opened(folder).stimuli
    made = ("pic-1._3", "pic-2._3", "secret._3", "pic-1._1", "pic-2._1", "secret._1")
    assert stimuli.ids == ("other", "pic-1", "pic-2", "secret", *made)
    assert stimuli.originals == {name: name[:-3] for name in made}
    assert stimuli.sources[4] == "pic-1.png | blurred: box 0.9"
    original = stimuli.image(1)
    np.testing.assert_array_equal(stimuli.image(4), blur_picture(original, kind="box", size=0.9))
    np.testing.assert_array_equal(stimuli.image(7), blur_picture(original, kind="box", size=0.4))
    assert len(set(stimuli.sha256s())) == len(stimuli)


@pytest.mark.robust(
    "pictures",
    given="a blurred version of a picture that may not be shown",
    before="there were no blurred versions",
    now="it may not be shown either",
)
def test_what_may_not_be_shown_may_not_be_shown_blurred(folder):
    dataset = opened(folder)
    allowed = {s for s in dataset.stimuli.sources if dataset.spec.shown.allows(s)}
    assert not any("secret" in source for source in allowed)
    assert "pic-1.png | blurred: box 0.4" in allowed


def test_kind_and_level_are_in_the_identity_of_stimuli_and_dataset(folder):
    plain = opened(folder)
    for change in (("kind: box", "kind: gaussian"), ("._1: 0.4", "._1: 0.2")):
        other = opened(folder, change)
        assert other.stimuli.ids == plain.stimuli.ids
        assert other.stimuli.key != plain.stimuli.key
        assert other.spec.identity() != plain.spec.identity()


def test_the_ending_of_an_original_may_be_replaced(folder):
    for path in sorted((folder / "pictures").glob("pic*")):
        path.rename(path.with_name(f"{path.stem}._0.png"))
    stimuli = opened(folder, ("of: [pic-*, secret*]", "original: ._0")).stimuli
    assert stimuli.originals == {
        f"pic-{n}._{level}": f"pic-{n}._0" for level in (3, 1) for n in (1, 2)
    }


def test_categories_are_means_over_the_pictures_themselves(folder):
    dataset = opened(folder, ("ending: .png", "ending: .png\n  categories: {before: '-'}"))
    assert dataset.categories == {"pic": ("pic-1", "pic-2")}


@pytest.mark.robust(
    "pictures",
    given="blurred versions of pictures that there are none of, or of ids without the ending",
    before="there were no blurred versions",
    now="an error that names the pattern and the ending",
)
def test_what_cannot_be_made_is_said(folder):
    with pytest.raises(DatasetError, match=r"no stimulus fits 'dog-\*'"):
        opened(folder, ("of: [pic-*, secret*]", "of: ['dog-*']")).stimuli  # noqa: B018
    with pytest.raises(DatasetError, match=r"fits '\*' and ends with '\._0'"):
        opened(folder, ("of: [pic-*, secret*]", "original: ._0")).stimuli  # noqa: B018
    with pytest.raises(DatasetError, match="is how originals end"):
        opened(folder, ("of: [pic-*, secret*]", "original: ._3"))
    with pytest.raises(DatasetError, match="less than or equal to 1"):
        opened(folder, ("._3: 0.9", "._3: 25"))
    Image.fromarray(picture()).save(folder / "pictures" / "pic-1._3.png")
    with pytest.raises(StimulusMismatchError, match=r"stand more than once: 'pic-1\._3'"):
        opened(folder).stimuli  # noqa: B018

"""RDMs in every form that they are kept in give the same voxels; what is none is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
from scipy.spatial.distance import pdist, squareform

from unitdb.errors import DatasetError, StimulusMismatchError
from unitdb.responses import open_dataset
from unitdb.responses.rdm import full_rdm

SPEC = """
name: mine
title: t
description: d
licence: l
source: s
citation: c
subjects: [S1, S2, S3]
rois: {V1: first}
stimuli: {kind: names, file: stimuli.txt}
responses: {kind: rdm, files: {V1: FILE}, key: rdm, stimulus_ids: "image_{:02d}"}
"""
N = 6
PATTERNS = np.random.default_rng(0).normal(size=(3, N, 20))
CONDENSED = np.stack([pdist(patterns, "correlation") for patterns in PATTERNS])
SQUARE = np.stack([squareform(condensed) for condensed in CONDENSED])


def responses(folder, file, *, n=N):
    (folder / "stimuli.txt").write_text("".join(f"image_{i:02d}\n" for i in range(1, n + 1)))
    (folder / "dataset.yaml").write_text(SPEC.replace("FILE", f'"{file}"'))
    return open_dataset(str(folder / "dataset.yaml"), data=folder, cache=folder).responses("S2")


def save(folder, name, values):
    if name.endswith(".mat"):
        scipy.io.savemat(folder / name, {"rdm": values})
    else:
        np.savez(folder / name, rdm=values)


@pytest.mark.robust(
    "arrays",
    given="RDMs condensed to vectors (squareform, pdist of MATLAB), of all subjects or a file each",
    before="'rdm' has shape (3, 15), expected (3 subjects, stimuli, stimuli); a file "
    "each: {subject}.npz: no such file",
    now="the same voxels as of square matrices",
)
@pytest.mark.parametrize("name", ["{subject}.npz", "{subject}.mat", "all.npz", "all.mat"])
@pytest.mark.parametrize("form", [SQUARE, CONDENSED])
def test_every_form_gives_the_same(tmp_path, name, form):
    save(tmp_path, "expected.npz", SQUARE)
    expected = responses(tmp_path, "expected.npz").values
    np.testing.assert_allclose(expected @ expected.T, 1 - SQUARE[1], atol=1e-9)
    if "{subject}" in name:
        for subject, values in zip(("S1", "S2", "S3"), form, strict=True):
            save(tmp_path, name.replace("{subject}", subject), values)
    else:
        save(tmp_path, name, form)
    found = responses(tmp_path, name)
    np.testing.assert_array_equal(found.values, expected)
    assert found.stimulus_ids.tolist() == [f"image_{i:02d}" for i in range(1, N + 1)]


def spoilt(form, place, value):
    values = form.copy()
    values[place] = value
    return values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (1 - SQUARE[1], "has 1 on its diagonal, as similarities have"),
        (1 - CONDENSED[1], "holds -.* to .*, and 1 − r is from 0 to 2"),
        (CONDENSED[1] * 10, "to 1.*, and 1 − r is from 0 to 2"),
        (
            spoilt(CONDENSED[1], 3, np.nan),
            "2 entries are not finite, the first of the stimuli 1",
        ),
        (spoilt(SQUARE[1], (1, 0), 0.5), "must be symmetric with zeros on its diagonal"),
        (spoilt(SQUARE[1], (1, 1), 0.5), "must be symmetric with zeros on its diagonal"),
        (CONDENSED[1][:-1], "has 14 entries; 5 stimuli have 10 pairs, 6 have 15"),
        (
            CONDENSED[1].reshape(3, 5),
            r"has shape \(3, 5\), expected a square matrix",
        ),
        (np.full(15, 2.0), "1 − RDM has the eigenvalue -4"),
        (np.zeros((0, 0)), "expected a square matrix"),
        (np.array(["a"] * 15), "holds <U1, expected real numbers"),
        (SQUARE, r"has shape \(3, 6, 6\), expected a square matrix"),
    ],
)
def test_what_is_no_rdm(tmp_path, values, message):
    np.savez(tmp_path / "S2.npz", rdm=values)
    with pytest.raises(DatasetError, match=rf"S2\.npz: S2: .*{message}"):
        responses(tmp_path, "{subject}.npz")


def test_one_matrix_is_not_taken_for_three_subjects(tmp_path):
    save(tmp_path, "all.npz", SQUARE[0][:3, :3])
    with pytest.raises(DatasetError, match=r"shape \(3, 3\), expected \(3 subjects, stimuli"):
        responses(tmp_path, "all.npz")
    save(tmp_path, "all.npz", CONDENSED[:2])
    with pytest.raises(DatasetError, match=r"expected \(3 subjects, .*write \{subject\}"):
        responses(tmp_path, "all.npz")


def test_rows_are_as_many_as_the_stimuli_that_their_numbers_name(tmp_path):
    save(tmp_path, "all.npz", SQUARE)
    with pytest.raises(StimulusMismatchError, match=r"6 rows of .*, and 7 stimuli are named"):
        responses(tmp_path, "all.npz", n=7)
    with pytest.raises(StimulusMismatchError, match="image_06"):
        responses(tmp_path, "all.npz", n=5)


@pytest.mark.parametrize("n", [2, 3, 5, 92])
def test_condensed_entries_are_in_the_order_of_squareform(n):
    values = np.arange(1.0, n * (n - 1) // 2 + 1)
    for shape in ((-1,), (1, -1), (-1, 1)):
        np.testing.assert_array_equal(full_rdm(values.reshape(shape), where=""), squareform(values))

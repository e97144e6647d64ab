"""BIDS: images that nibabel writes become the responses that a slow reading of them gives."""

from __future__ import annotations

import gzip
import shutil
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from nilearn.signal import clean as nilearn_clean

from tests.responses.raw import (
    AFFINE,
    EVENTS,
    RUNS,
    SECONDS,
    SHAPE,
    bold,
    events,
    events_are,
    mask,
    part,
    read,
    run_name,
    save_mask,
    spec,
    with_numbers,
    write,
)
from unitdb.errors import (
    DatasetError,
    ResponsesError,
    StimulusMismatchError,
    UnknownSubjectError,
)
from unitdb.responses import Dataset
from unitdb.responses.bids_events import Event
from unitdb.responses.bids_volumes import event_volumes
from unitdb.responses.spec import DatasetSpec


def slow(data, transform):
    """Samples of all runs, voxel by voxel and event by event."""
    root = data / "bids"
    masks = {}
    for name in ("LH_V1d", "LH_V1v", "RH_V1d", "LH_V4"):
        path = root / "sourcedata" / "sub-01" / "anat" / f"sub-01_mask_{name}.nii.gz"
        masks[name] = nib.load(path).get_fdata() > 0
    v1 = masks["LH_V1d"] | masks["LH_V1v"] | masks["RH_V1d"]
    places = [tuple(place) for place in np.argwhere(v1 | masks["LH_V4"])]
    rows = []
    for session, run in RUNS:
        func = root / "derivatives" / "sub-01" / f"ses-{session}" / "func"
        image = nib.load(func / f"{run_name(session, run)}_bold_preproc.nii.gz").get_fdata()
        table = (func / f"{run_name(session, run)}_desc-confounds_timeseries.tsv").read_text()
        lines = [line.split("\t") for line in table.splitlines()[1:]]
        lines[0] = [second if c == "n/a" else c for c, second in zip(*lines[:2], strict=True)]
        confounds = np.array(lines, dtype=float)
        series = np.column_stack([transform(image[place], confounds) for place in places])
        for onset, _ in EVENTS:
            first = int(onset / SECONDS) + 1
            rows.append(series[first : first + 3].mean(axis=0))
    return np.array(rows), np.array([v1[place] for place in places])


def test_samples_are_means_of_shifted_blocks(written):
    responses = read(written)
    expected, v1 = slow(written, lambda y, _: y)
    np.testing.assert_allclose(responses.values, expected, rtol=1e-12)
    np.testing.assert_array_equal(responses.rois["V1"], v1)
    assert responses.stimulus_ids.tolist() == [name for _, name in EVENTS] * 2 + ["egg"] * 5
    assert responses.split.tolist() == ["train"] * 10 + ["perception"] * 5


def test_trend_and_motion_are_regressed_out_as_by_nilearn(written):
    def by_nilearn(y, confounds):
        time = np.arange(len(y), dtype=float)
        cleaned = nilearn_clean(
            y[:, None],
            confounds=np.column_stack([time, confounds]),
            detrend=False,
            standardize=None,
            standardize_confounds=True,
        )
        return cleaned[:, 0] - cleaned.mean() + y.mean()

    responses = read(written, trend=1, regress=["trans_x", "rot_z"])
    expected, _ = slow(written, by_nilearn)
    np.testing.assert_allclose(responses.values, expected, rtol=1e-9)


@pytest.mark.parametrize("way", ["percent", "zscore"])
def test_runs_are_normalised(written, way):
    def by_hand(y, _):
        sd = np.sqrt(((y - y.mean()) ** 2).sum() / (len(y) - 1))
        return (y - y.mean()) / (y.mean() / 100 if way == "percent" else sd)

    expected, _ = slow(written, by_hand)
    np.testing.assert_allclose(read(written, normalise=way).values, expected, atol=1e-9)


def test_only_the_voxels_of_the_rois_are_kept_in_memory(tmp_path):
    write(tmp_path / "bids")
    large = (64, 64, 40, 60)  # 75 MB as float64
    func = tmp_path / "bids" / "derivatives" / "sub-01"
    anatomy = tmp_path / "bids" / "sourcedata" / "sub-01" / "anat"
    for path in anatomy.iterdir():
        mask = np.zeros(large[:3], dtype=np.uint8)
        mask[10:14, 10:14, 10:14] = 1
        nib.save(nib.Nifti1Image(mask, AFFINE), path)
    values = np.random.default_rng(0).integers(0, 100, large, dtype=np.int16)
    image = nib.Nifti1Image(values, AFFINE)
    image.header.set_zooms((3.0, 3.0, 3.0, SECONDS))
    for path in func.rglob("*_bold_preproc.nii.gz"):
        nib.save(image, path)
    del image
    tracemalloc.start()
    try:
        responses = read(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert responses.values.shape == (15, 64)
    assert peak < values.size * 8 * 1.3  # about one slab and its run, not three runs


def write_bomb(path):
    header = nib.Nifti1Header()
    header.set_data_shape((2000, 2000, 1000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    path.write_bytes(gzip.compress(header.binaryblock + bytes(2**20)))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: truncate(bold(d)), r"run-01_bold_preproc\.nii\.gz: cannot be read"),
        (lambda d: bold(d).write_bytes(gzip.compress(b"no image")), r"run-01.*cannot be read"),
        (lambda d: truncate(mask(d)), r"mask_LH_V4\.nii\.gz: cannot be read"),
        (lambda d: write_bomb(mask(d)), r"LH_V4\.nii\.gz: .* would become 16,000,000,000 bytes"),
        (
            lambda d: mask(d).unlink(),
            r"no file fits 'sourcedata/sub-01/anat/.* for '.*LH_V4\.nii\.gz' there are: .*LH_V1",
        ),
        (lambda d: shutil.rmtree(d / "bids"), r"bids: no file fits .*; there is no such folder"),
        (lambda d: save_mask(d, np.zeros(SHAPE)), r"ROI 'V4' has no voxels"),
        (lambda d: save_mask(d, np.ones((5, 5, 5))), r"LH_V4.* has shape \(5, 5, 5\)"),
        (lambda d: save_mask(d, np.ones(SHAPE), 2 * AFFINE), r"LH_V4.* lie elsewhere"),
        (lambda d: events(d).unlink(), r"run-01_bold.*there are no events of this run"),
        (lambda d: shutil.rmtree(d / "bids" / "sub-01"), r"no file fits 'sub-01/ses-percep"),
        (
            events_are("1\t1\trest\tx\n"),
            r"no event names a stimulus",
        ),
        (
            events_are("88\t9\tstimulus\tx\n"),
            r"event at 88 s \(x\) needs the volumes 30 to 32; the run has 30",
        ),
        (
            events_are("soon\t9\tstimulus\tx\n"),
            r"line 2: onset is 'soon'",
        ),
        (
            events_are("1\t9\tstimulus\tx\n", header="onset\tduration\tevent_type\tstim"),
            r"has no column 'stim_id'; there are: stim",
        ),
        (
            events_are("1\t9\tstimulus\tx\tmore\n", header="onset\tduration\tevent_type\tstim"),
            r"events\.tsv: line 2: has 5 cells, the header has 4",
        ),
        (
            events_are("1\t9\n"),
            r"events\.tsv: line 2: has 2 cells, the header has 4",
        ),
        (
            events_are(
                "1\t9\tstimulus\tx\ty\n", header="onset\tduration\tevent_type\tstim_id\tstim_id"
            ),
            r"events\.tsv: the column 'stim_id' stands twice",
        ),
        (
            events_are("6\t9\tstimulus\tx\n18\t9\tstimulus\tz\n6\t3\tstimulus\ty\n"),
            r"lines 2 and 4 both show a stimulus at 6 s \(x, y\); choose one with `keep`",
        ),
        (
            events_are("1e308\t9\tstimulus\tx\n"),
            r"line 2: onset is '1e308', expected a number$",
        ),
        (
            events_are("1\t-9\tstimulus\tx\n"),
            r"line 2: duration is '-9', expected a number from 0 on",
        ),
        (lambda d: events(d).write_bytes(b"onset\xff"), r"events\.tsv: cannot be read"),
        (lambda d: events(d).write_text(""), r"events\.tsv: no event names a stimulus"),
    ],
)
def test_what_is_wrong_is_named(data, spoil, message):
    spoil(data)
    with pytest.raises(DatasetError, match=message):
        read(data)


def test_confounds_must_fit_the_run(data):
    folder = bold(data).parent
    table = folder / f"{run_name('perceptionTraining01', '01')}_desc-confounds_timeseries.tsv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(DatasetError, match="has 29 rows, the run has 30 volumes"):
        read(data, regress=["trans_x"])
    with pytest.raises(DatasetError, match="has no column 'trans_y'; there are: trans_x"):
        read(data, regress=["trans_y"])


def test_more_regressors_than_volumes_are_refused(data):
    with pytest.raises(DatasetError, match=r"run-01_bold.* has 30 volumes, of which 31 regressors"):
        read(data, trend=1, regress=["trans_x"] * 30)


def test_patterns_that_are_none_are_named(data):
    parts = {"train": part("Training") | {"bold": "derivatives/**.nii.gz"}, "test": part("Test")}
    with pytest.raises(DatasetError, match=r"'derivatives/\*\*\.nii\.gz' is no pattern of files"):
        read(data, parts=parts)


def test_a_pattern_that_fits_other_people_is_refused(data):
    func = bold(data).parent
    for path in func.glob("sub-01_*"):
        shutil.copy(path, path.with_name(path.name.replace("sub-01", "sub-02")))
    pattern = {"bold": "derivatives/sub-*/ses-perceptionTraining*/func/*_bold_preproc.nii.gz"}
    with pytest.raises(DatasetError, match=r"several subjects, 01, 02: write \{subject\} where"):
        read(data, parts={"train": part("Training") | pattern, "test": part("Test")})


def dataset(data, ids, **options):
    """The dataset with pictures of these ids (empty files: nothing looks at them)."""
    pictures = data / "pictures"
    pictures.mkdir(exist_ok=True)
    for name in ids:
        (pictures / f"{name}.png").touch()
    return Dataset(spec=spec(**options), data=data, cache=data / "cache")


SHOWN = ("apple", "bird", "car", "dog", "egg")


def test_a_stimulus_without_a_picture_is_named_with_its_file_and_line(data, monkeypatch):
    def no_image(*_, **__):
        raise AssertionError("an image was read before the events were checked")

    found = dataset(data, ["apple", "bird", "car", "dogs"])
    with monkeypatch.context() as patch:
        patch.setattr("unitdb.responses.bids.time_series", no_image)
        message = (
            r"run-01_events\.tsv: line 7: 'dog' is not among the 4 stimuli of dataset 'raw'; "
            r"near: dogs; nor are 1 other ids: egg$"
        )
        with pytest.raises(StimulusMismatchError, match=message):
            found.responses("sub-01")
    # Voxels are counted all the same, and with the pictures in place all is there.
    assert found.voxel_counts("sub-01") == {"V1": 23, "V4": 9}
    complete = dataset(data, SHOWN).responses("sub-01")
    assert complete.sha256 == read(data).sha256


def test_a_subject_that_is_not_there_is_named(data):
    found = dataset(data, SHOWN)
    with pytest.raises(
        UnknownSubjectError, match=r"'sub-1' in dataset 'raw'; did you mean 'sub-01'"
    ):
        found.responses("sub-1")
    listed = found.spec.model_copy(update={"subjects": ["sub-01", "sub-02"]})
    missing = Dataset(spec=listed, data=data, cache=data / "cache")
    message = r"no file fits 'derivatives/sub-02/ses-.*; for 'sub-02' there are: sub-01"
    with pytest.raises(DatasetError, match=message):
        missing.responses("sub-02")


def test_labels_that_stand_twice_are_named(data):
    with pytest.raises(ValueError, match="subjects: an id stands twice"):
        DatasetSpec.model_validate(
            spec().model_dump(by_alias=True) | {"subjects": ["sub-01", "sub-01"]}
        )
    path = events(data, "perceptionTest01")
    path.write_text(path.read_text().replace("\tegg", "\tapple", 1))
    with pytest.raises(
        ResponsesError, match=r"raw/sub-01: 1 stimuli are both in .* perception: apple"
    ):
        read(data)
    with_numbers(data / "bids" / "sub-01")
    (data / "names.tsv").write_text("1443537.022563\tapple\n1443537.022563\tpear\n")
    parts = {"train": part("Training"), "test": part("Test")}
    named = {split: one | {"names": "names.tsv"} for split, one in parts.items()}
    with pytest.raises(DatasetError, match=r"names\.tsv: line 2: 1443537\.022563 stands for two"):
        read(data, parts=named)


def test_stimuli_told_by_number_are_named(data):
    """As in ds001246: n01443537_22563 is 1443537.022563."""
    numbers = with_numbers(data / "bids" / "sub-01")
    parts = {"train": part("Training"), "test": part("Test")}
    named = {split: one | {"pattern": "imagenet"} for split, one in parts.items()}
    ids = read(data, parts=named).stimulus_ids
    assert ids[:3].tolist() == ["n01443537_22563", "n01443538_22563", "n01443539_22563"]
    table = data / "names.tsv"
    table.write_text("\n".join(f"{n}.022563\t{name}" for name, n in numbers.items()))
    listed = {split: one | {"names": "names.tsv"} for split, one in parts.items()}
    assert read(data, parts=listed).stimulus_ids.tolist() == read_ids(EVENTS)
    table.write_text("1443537.022563\tapple\n")
    with pytest.raises(
        DatasetError, match=r"events\.tsv: line 4: 'stim_id' is 1443538\.022563, which"
    ):
        read(data, parts=listed)


def read_ids(events):
    return [name for _, name in events] * 2 + ["egg"] * 5


def test_two_images_of_a_run_are_refused(data):
    path = bold(data)
    shutil.copy(path, path.with_name(path.name.replace("_bold", "_desc-smooth_bold")))
    with pytest.raises(DatasetError, match=r"run-01_desc-smooth_bold.* are of the same run"):
        read(data)


@pytest.mark.parametrize(("onset", "first"), [(3.0, 1), (4.5, 2), (7.5, 3), (10.5, 4), (7.4, 2)])
def test_halves_of_a_volume_are_rounded_up(onset, first):
    event = Event(onset=onset, duration=4.5, stimulus="x", line=2)
    assert event_volumes(event, 3.0, 0.0, 30, where=None) == slice(first, first + 2)


def test_regressing_needs_files_of_confounds():
    parts = {"train": part("Training"), "test": part("Test")}
    del parts["test"]["confounds"]
    with pytest.raises(ValueError, match=r"perception: `regress` needs"):
        spec(parts=parts, regress=["trans_x"])

"""When volumes were measured: headers, sidecars and what they inherit, removed volumes."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from tests.responses.raw import RUNS, SECONDS, bold, events, part, read, run_name, spec
from unitdb.errors import DatasetError, NotDownloadedError
from unitdb.responses.bids import bids_responses
from unitdb.responses.bids_events import Event
from unitdb.responses.bids_timing import seconds_removed, sidecars
from unitdb.responses.bids_volumes import event_volumes


def state(path, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def headers_state(data, seconds, unit="sec"):
    for path in (data / "bids" / "derivatives").rglob("*_bold_preproc.nii.gz"):
        image = nib.load(path)
        image.header.set_xyzt_units("mm", unit)
        image.header.set_zooms((3.0, 3.0, 3.0, seconds))
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header), path)


def own(data):
    """Sidecar of the first image, with its very name."""
    path = bold(data)
    return path.with_name(path.name.replace(".nii.gz", ".json"))


@pytest.mark.robust(
    "BIDS",
    given="a header that states a repetition time of 2 s, a sidecar that states 3 s",
    before="the header's; every sample of other volumes than those of its event",
    now="one error that names both; the same where the sidecar is inherited from a folder above",
)
@pytest.mark.parametrize(
    "sidecar",
    [
        "task-perception_bold.json",
        "bold.json",
        "sub-01/sub-01_bold.json",
        "sub-01/ses-perceptionTraining01/func/sub-01_task-perception_run-1_bold.json",
        "derivatives/sub-01/ses-perceptionTraining01/func/sub-01_run-01_bold.json",
    ],
)
def test_header_and_sidecar_must_agree(data, sidecar):
    before = read(data).sha256
    path = state(data / "bids" / sidecar, RepetitionTime=SECONDS + 0.0005)
    headers_state(data, 3.0)
    assert read(data).sha256 == before
    state(path, RepetitionTime=2.0)
    message = rf"run-01_bold_preproc.* states a repetition time of 3 s, .*{path.name} one of 2 s"
    with pytest.raises(DatasetError, match=message):
        read(data)
    assert read(data, repetition_time=3.0).sha256 == before


@pytest.mark.parametrize(
    "sidecar",
    [
        "task-rest_bold.json",
        "task-perception_events.json",
        "task-perception_desc-confounds_timeseries.json",
        "sub-02/sub-02_bold.json",
        "._task-perception_bold.json",
        "task-perception_acq-fast_bold.json",
        "task-perception_run-3_bold.json",
    ],
)
def test_sidecars_of_others_are_not_read(data, sidecar):
    before = read(data).sha256
    path = data / "bids" / sidecar
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    assert read(data).sha256 == before


def test_the_nearer_sidecar_goes_before(data):
    root = data / "bids"
    far = state(root / "task-perception_bold.json", RepetitionTime=9.0)
    near = state(root / "sub-01" / "sub-01_task-perception_bold.json", RepetitionTime=3.0)
    read(data)
    assert sidecars(events(data), root) == [far, near]
    assert sidecars(bold(data), root) == [far]
    state(own(data), RepetitionTime=4.0)
    with pytest.raises(DatasetError, match=r"run-01_bold.* of 3 s, .*preproc\.json one of 4 s"):
        read(data)


def test_two_sidecars_of_a_folder_must_not_differ(data):
    state(data / "bids" / "task-perception_bold.json", RepetitionTime=3.0)
    state(data / "bids" / "bold.json", RepetitionTime=3.0)
    read(data)
    state(data / "bids" / "bold.json", RepetitionTime=2.0)
    message = r"bold\.json states RepetitionTime 2\.0, .*task-perception_bold\.json 3\.0: at most"
    with pytest.raises(DatasetError, match=message):
        read(data)


@pytest.mark.robust(
    "BIDS",
    given="a header that states no repetition time (0, as SPM writes; 1 of no unit, as nibabel), "
    "and a sidecar that does, or none",
    before="refused; 1 was a second, with a sidecar or without: samples came from other volumes",
    now="the sidecar's",
)
@pytest.mark.parametrize(("seconds", "unit"), [(0.0, "sec"), (1.0, "unknown")])
def test_a_header_without_a_repetition_time(data, seconds, unit):
    before = read(data).sha256
    headers_state(data, seconds, unit)
    with pytest.raises(DatasetError, match=r"header states no repetition time, and there is no"):
        read(data)
    state(data / "bids" / "task-perception_bold.json", RepetitionTime=3)
    assert read(data).sha256 == before


@pytest.mark.robust(
    "BIDS",
    given="repetition times of 2000 s (milliseconds, unit seconds), 0.003 s, or 0 in a sidecar",
    before="the first volume was the sample of each event",
    now="an error that names the file and the value",
)
@pytest.mark.parametrize(
    ("seconds", "unit", "message"),
    [
        (2000.0, "sec", "repetition time of 2000 s is implausible"),
        (3.0, "msec", r"repetition time of 0\.003 s is implausible"),
        (3000.0, "usec", r"repetition time of 0\.003 s is implausible"),
        (float("nan"), "sec", "repetition time of nan s is implausible"),
        (float("inf"), "sec", "repetition time of inf s is implausible"),
    ],
)
def test_implausible_repetition_times_are_refused(data, seconds, unit, message):
    headers_state(data, seconds, unit)
    with pytest.raises(DatasetError, match=rf"run-01_bold_preproc\.nii\.gz: a {message}"):
        read(data)


def test_milliseconds_with_their_unit_are_read(data):
    before = read(data).sha256
    headers_state(data, 3000.0, "msec")
    assert read(data).sha256 == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"RepetitionTime": 0}', r"header states .* 3 s, .* one of 0 s"),
        ('{"RepetitionTime": "3"}', r"RepetitionTime is '3', expected a number of seconds"),
        ('{"RepetitionTime": true}', r"RepetitionTime is True, expected"),
        ('{"RepetitionTime": NaN}', r"RepetitionTime is nan, expected"),
        ('{"RepetitionTime": [3]}', r"RepetitionTime is \[3\], expected"),
        ('{"RepetitionTime": 3, "RepetitionTime": 2}', r"not valid JSON: 'RepetitionTime' stands"),
        ('{"RepetitionTime": 3', r"task-perception_bold\.json: not valid JSON"),
        ("[" * 100_000, r"not valid JSON"),
        ("[3]", r"must be an object of keys"),
        ('{"VolumeTiming": [0, 3, 7]}', r"bold\.json: states VolumeTiming; volumes at unequal"),
        ('{"DelayTime": 1.5}', r"bold\.json: states a DelayTime of 1\.5 s; sparse sequences"),
        ('{"DelayTime": "long"}', r"DelayTime is 'long', expected"),
        (
            '{"StartTime": 3.0}',
            r"StartTime is 3, expected seconds from 0 to the repetition time, 3",
        ),
        ('{"StartTime": -1}', r"StartTime is -1, expected"),
    ],
)
@pytest.mark.robust(
    "BIDS",
    given="sidecars with VolumeTiming, DelayTime, a StartTime beyond a volume, or damaged",
    before="not read: volumes were taken to be at multiples of the repetition time",
    now="an error that names the sidecar and the key",
)
def test_what_sidecars_state_is_read_or_refused(data, content, message):
    (data / "bids" / "task-perception_bold.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        read(data)


@pytest.mark.robust(
    "BIDS",
    given="StartTime in the sidecar of an image whose slices were corrected in time (fMRIPrep)",
    before="not read: samples began up to a volume early",
    now="volume i is of the time StartTime + i · TR",
)
def test_start_times_are_taken_into_account(data):
    state(data / "bids" / "task-perception_bold.json", RepetitionTime=3.0, DelayTime=0.0)
    plain = read(data)
    state(data / "bids" / "task-perception_bold.json", RepetitionTime=3.0, StartTime=1.45)
    assert read(data).sha256 == plain.sha256  # rounds to the same volumes
    state(data / "bids" / "task-perception_bold.json", RepetitionTime=3.0, StartTime=1.6)
    late = read(data)
    np.testing.assert_array_equal(late.values, read(data, shift=1.4).values)
    assert not np.array_equal(late.values, plain.values)


@pytest.mark.robust(
    "BIDS",
    given="images that lack the first volumes of their runs",
    before="no key for it; `shift` refused negative numbers: samples came from later volumes",
    now="`removed: 2 volumes`, or `6 seconds`; shifts from -60 to 60 s",
)
def test_removed_volumes(data):
    expected = read(data, shift=-3.0).values
    for removed in ("2 volumes", "6 seconds", "6.0 seconds"):
        np.testing.assert_array_equal(read(data, removed=removed).values, expected)
    with pytest.raises(DatasetError, match=r"event at 6 s .* needs the volumes -1 to 1"):
        read(data, removed="4 volumes")
    assert seconds_removed("1 volume", 2.0) == 2.0
    assert seconds_removed(None, 2.0) == 0.0


@pytest.mark.parametrize(
    "options",
    [
        *(
            {"removed": text}
            for text in ("3", "3 scans", "-3 volumes", "1.5 volumes", "3 volumes\n")
        ),
        *({"shift": value} for value in (float("inf"), float("nan"), -61.0, 3000.0)),
        *({"repetition_time": value} for value in (0.0, 2000.0, float("nan"))),
    ],
)
def test_times_that_are_none_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        spec(**options)


@pytest.mark.parametrize("seconds", [0.7, 0.72, 1.1, 0.8])
def test_halves_are_rounded_up_whatever_the_division_gives(seconds):
    for volume in range(400):
        event = Event(onset=round((volume + 0.5) * seconds, 6), duration=0.0, stimulus="x", line=2)
        assert event_volumes(event, seconds, 0.0, 500, where=None) == slice(volume + 1, volume + 2)


@pytest.mark.robust(
    "BIDS",
    given="presentations that overlap in time, or that fall on the same volumes",
    before="samples that share volumes, or are the same, under two ids",
    now="an error that names the lines",
)
@pytest.mark.parametrize(
    "rows",
    ["6\t9\tstimulus\tx\n9\t9\tstimulus\ty\n", "6\t1\tstimulus\tx\n7\t1\tstimulus\ty\n"],
)
def test_presentations_must_be_apart(data, rows):
    events(data).write_text(f"onset\tduration\tevent_type\tstim_id\n{rows}")
    message = r"events\.tsv: lines 2 and 3 \(x, y\) show stimuli at the same time"
    with pytest.raises(DatasetError, match=message):
        read(data)


def shared(data, train, test, *, tests=None, **options):
    """Responses of images whose events are of a training and of a test set, by their type."""
    parts = {
        name: part("Training") | {"keep": {"event_type": [kind]}}
        for name, kind in (("train", "pic"), ("test", "cue"))
    }
    parts["test"] |= options
    for session, run in RUNS[:2]:
        rows = [
            f"{onset}\t{seconds}\t{kind}\t{kind}-{onset}"
            for kind, of_kind in (("pic", train), ("cue", test))
            for onset, seconds in of_kind
        ]
        events(data, session, run).write_text(
            "\n".join(["onset\tduration\tevent_type\tstim_id", *rows, ""])
        )
    found = spec(parts)
    return bids_responses(found, found.responses, "sub-01", data, tests=tests)


@pytest.mark.robust(
    "BIDS",
    given="a training set that keeps the pictures and a test set that keeps the cues of the same "
    "time, in the same runs; or whose `shift` takes it to the same volumes",
    before="test samples equal to training samples to the bit, accepted, as their ids differ",
    now="an error that names the lines and the sets; times of windows may be any",
)
@pytest.mark.parametrize(
    ("train", "test", "options"),
    [
        ([(6, 9), (30, 9)], [(6, 9), (30, 9)], {}),
        ([(6, 9), (30, 9)], [(18, 9), (36, 9)], {}),
        ([(6, 1)], [(7, 1)], {}),
        ([(6, 9)], [(15, 9)], {"shift": -6}),
        ([(6, 9)], [(6, 9)], {"windows": {"from": 0, "to": 3}, "tests": ["perception@*"]}),
    ],
)
def test_what_trains_is_not_tested(data, train, test, options):
    message = r"events\.tsv: lines \d and \d \(pic.*, in train and perception, .*at the same time"
    with pytest.raises(DatasetError, match=message):
        shared(data, train, test, **options)


def test_training_and_test_sets_may_share_a_run(data):
    found = shared(data, [(6, 9), (30, 9)], [(15, 9), (39, 3)])
    assert found.split.tolist() == ["train"] * 4 + ["perception"] * 4
    windows = {"from": -6, "to": 6}  # 6 s before a cue is within the time of a picture
    found = shared(data, [(6, 9)], [(15, 9)], windows=windows, tests=["perception@*"])
    assert len(found.tests) == 5


@pytest.mark.robust(
    "BIDS",
    given="events of a test set that overlap, or that one volume shows, where only times of its "
    "windows are asked for",
    before="read, though the set itself is refused: one volume under two ids",
    now="the same error",
)
@pytest.mark.parametrize(
    ("test", "message"),
    [
        ([(6, 9), (9, 9)], r"lines 3 and 4 \(cue-6, cue-9\) show stimuli at the same time"),
        ([(6, 1), (7, 1)], r"lines 3 and 4 \(cue-6, cue-7\) have one volume 0 s from their onsets"),
    ],
)
def test_times_of_windows_must_be_apart_too(data, test, message):
    options = {"windows": {"from": 0, "to": 3}, "tests": ["perception@*"]}
    with pytest.raises(DatasetError, match=message):
        shared(data, [(60, 9)], test, **options)


def test_times_that_touch_are_apart(data):
    rows = "6\t9.02\tstimulus\tx\n15\t9\tstimulus\ty\n24.01\t4\tstimulus\tz\n28\t4\tstimulus\tw\n"
    events(data).write_text(f"onset\tduration\tevent_type\tstim_id\n{rows}")
    assert read(data).stimulus_ids[:4].tolist() == ["x", "y", "z", "w"]
    assert run_name("a", "1") in str(events(data, "a", "1"))


@pytest.mark.robust(
    "BIDS",
    given="a sidecar whose RepetitionTime is 1 with 400 zeros",
    before="a traceback (OverflowError)",
    now="one error that names the file, as for all that is no number of seconds",
)
@pytest.mark.parametrize("key", ["RepetitionTime", "DelayTime", "StartTime"])
@pytest.mark.parametrize(
    "value",
    [
        *(f"1{'0' * 400}", f"-1{'0' * 400}", "1e400", "-1e400", "1e10", "NaN", "Infinity"),
        *("-Infinity", "true", "false", '"3"', '""', "[3.0]", "{}", f"[{'3,' * 400}3]"),
    ],
)
def test_times_are_numbers_of_seconds(data, key, value):
    own(data).write_text(f'{{"{key}": {value}}}')
    with pytest.raises(DatasetError, match=rf"preproc\.json: {key} is .*, expected a n") as caught:
        read(data)
    assert len(str(caught.value).split(f"{key} is ")[1]) < 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{{"RepetitionTime": 1{"0" * 5000}}}', "not valid JSON"),
        ('{"RepetitionTime": 3,}', "not valid JSON"),
        ("3", "must be an object"),
        ('{"RepetitionTime": 0}', "a repetition time of|one of 0 s"),
        ('{"RepetitionTime": -3}', "one of -3 s"),
        ('{"StartTime": -1}', "StartTime is -1, expected"),
        ('{"DelayTime": -1}', "states a DelayTime of -1 s"),
        ('{"VolumeTiming": false}', "states VolumeTiming"),
    ],
)
def test_sidecars_that_say_nothing_are_refused(data, text, message):
    own(data).write_text(text)
    with pytest.raises(DatasetError, match=message):
        read(data)


def test_null_in_a_sidecar_states_nothing(data):
    before = read(data).sha256
    own(data).write_text('{"RepetitionTime": null, "DelayTime": null, "VolumeTiming": null}')
    assert read(data).sha256 == before


@pytest.mark.robust(
    "BIDS",
    given="a sidecar with the very name of its image, which was not downloaded",
    before="not read: samples came from other volumes",
    now="not downloaded, as any other file",
)
def test_an_own_sidecar_that_is_not_downloaded(data):
    own(data).symlink_to("../../.git/annex/objects/nothing.json")
    with pytest.raises(NotDownloadedError, match=r"\.json: not downloaded"):
        read(data)

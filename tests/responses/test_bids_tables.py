"""Events and confounds as programs write them: every row is read, or its line is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from nilearn.interfaces.fmriprep import load_confounds

from tests.responses.raw import bold, events, part, read, run_name
from unitdb.errors import DatasetError
from unitdb.responses.bids_events import read_confounds, read_events
from unitdb.responses.bids_spec import BidsPart

HEADER = "onset\tduration\tevent_type\tstim_id\n"


def confounds(data):
    name = f"{run_name('perceptionTraining01', '01')}_desc-confounds_timeseries.tsv"
    return bold(data).parent / name


@pytest.mark.robust(
    "BIDS",
    given="events and confounds with a byte order mark, CR line ends, quotes, N/A",
    before="N/A of events was the name of a stimulus, N/A of confounds refused; "
    "the rest as it should be",
    now="the same responses as from plain tables",
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_of_any_program_give_the_same(data, end):
    before = read(data, regress=["trans_x", "rot_z"]).sha256
    for path in [*(data / "bids").rglob("*.tsv")]:
        lines = path.read_text().replace("n/a", "N/A").splitlines()
        if path == events(data):
            lines = ["\t".join(f'"{cell}"' for cell in line.split("\t")) for line in lines]
        path.write_bytes(("\ufeff" + end.join([*lines, "", ""])).encode())
    assert read(data, regress=["trans_x", "rot_z"]).sha256 == before


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("6\tn/a\tstimulus\tx\n", r"line 2: duration is 'n/a', expected a number from 0 on"),
        ("n/a\t9\tstimulus\tx\n", r"line 2: onset is 'n/a', expected a number$"),
        ("6\t9\tstimulus\tx\n1_8\t9\tstimulus\ty\n", r"line 3: onset is '1_8'"),
        ("6\t9\tstimulus\tx\n18,5\t9\tstimulus\ty\n", r"line 3: onset is '18,5'"),
        ("-6\t9\tstimulus\tx\n", r"event at -6 s \(x\) needs the volumes -1 to 1"),
        ('6\t9\tstimulus\t"x\n18\t9\tstimulus\ty"\n', r"line 2: a cell in quotes does not end"),
    ],
)
def test_rows_of_events_are_read_or_named(data, rows, message):
    events(data).write_text(HEADER + rows)
    with pytest.raises(DatasetError, match=message):
        read(data)


@pytest.mark.robust(
    "arrays",
    given="events with quotes that do not close or close some rows later, rows that are longer or "
    "shorter than the header, bytes that are not UTF-8",
    before="two rows became one cell; surplus cells were cut off, missing ones not seen; of bytes "
    "the line was not named",
    now="an error that names the line",
)
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b'6\t9\tstimulus\t"x\n18\t9\tstimulus\ty"\n', "line 2: a cell in quotes does not end"),
        (b'6\t9\tstimulus\tx\n18\t9\tstimulus\t"y\n', "line 3: cannot be read: a quote is not"),
        (b"6\t9\tstimulus\tx\n18\t9\tstimulus\ty\tz\n", "line 3: has 5 cells, the header has 4"),
        (b"6\t9\tstimulus\tx\n18\t9\trest\n", "line 3: has 3 cells, the header has 4"),
        (b"6\t9\tstimulus\tx\n18\t9\tstimulus\t\xe9\n", "line 3: the byte 0xe9 is not UTF-8"),
    ],
)
def test_rows_that_cannot_be_known_are_named(data, rows, message):
    events(data).write_bytes(HEADER.encode() + rows)
    with pytest.raises(DatasetError, match=message):
        read(data)


@pytest.mark.robust(
    "BIDS",
    given="stim_file faces/01.png and houses/01.png, or v1.0 without an ending",
    before="both the id 01; v1",
    now="faces/01 and houses/01, as pictures in folders of the folder are named; v1.0",
)
def test_ids_of_files_keep_their_folders(data):
    names = ["faces/01.png", "houses/01.PNG", "v1.0"]
    lines = [f"{9 * n}\t9\tstimulus\t{name}\n" for n, name in enumerate(names)]
    for run in ("01", "02"):
        events(data, run=run).write_text(HEADER.replace("stim_id", "stim_file") + "".join(lines))
    parts = {"train": part("Training") | {"stimulus": "stim_file"}, "test": part("Test")}
    ids = read(data, parts=parts).stimulus_ids
    assert ids[:3].tolist() == ["faces/01", "houses/01", "v1.0"]


@pytest.mark.parametrize("name", ["001", "1e5", "NA", "nan", "None", "true", "-1", "null"])
def test_names_of_stimuli_stay_text(data, name):
    events(data).write_text(
        f"{HEADER}-3\t9\tstimulus\t{name}\n18\t9\tstimulus\tx\n6\t0\trest\tn/a\n"
    )
    assert read(data, shift=4.0).stimulus_ids[:2].tolist() == [name, "x"]


def test_missing_confounds_are_those_of_nilearn(data, tmp_path):
    axes = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    columns = [name for axis in axes for name in (axis, f"{axis}_derivative1")]
    values = np.random.default_rng(0).normal(size=(30, len(columns)))
    values[0, 1::2] = np.nan
    folder = tmp_path / "fmriprep" / "func"
    folder.mkdir(parents=True)
    stem = "sub-01_task-x_run-01"
    table = folder / f"{stem}_desc-confounds_timeseries.tsv"
    pd.DataFrame(values, columns=columns).to_csv(table, sep="\t", index=False, na_rep="n/a")
    table.with_suffix(".json").write_text("{}")
    image = folder / f"{stem}_space-T1w_desc-preproc_bold.nii.gz"
    image.write_bytes(bold(data).read_bytes())
    expected, _ = load_confounds(
        str(image), strategy=("motion",), motion="derivatives", demean=False
    )
    found = read_confounds(table, list(expected.columns), 30)
    np.testing.assert_allclose(found, expected.to_numpy())


@pytest.mark.robust(
    "BIDS",
    given="n/a in the first row of confounds (derivatives), elsewhere, or in a whole column",
    before="0 in each case: a column of n/a alone was regressed out as zeros",
    now="first row: the value of the second, as nilearn has it; otherwise an error",
)
@pytest.mark.parametrize(
    ("row", "cell", "message"),
    [
        (3, "n/a", r"timeseries\.tsv: line 4: trans_x is 'n/a', expected a number$"),
        (2, "n/a", r"timeseries\.tsv: line 3: trans_x is 'n/a', expected a number$"),
        (5, "", r"line 6: trans_x is ''"),
        (1, "nan", r"line 2: trans_x is 'nan'"),
        (None, "n/a", r"timeseries\.tsv: the column 'trans_x' holds no numbers"),
    ],
)
def test_confounds_that_are_missing_are_named(data, row, cell, message):
    lines = [line.split("\t") for line in confounds(data).read_text().splitlines()]
    lines[1][0] = "0.5"
    for place in range(1, len(lines)) if row is None else [row]:
        lines[place][0] = cell
    confounds(data).write_text("\n".join("\t".join(line) for line in lines) + "\n")
    with pytest.raises(DatasetError, match=message):
        read(data, regress=["trans_x"])
    read(data, regress=["rot_z"])  # the column is not asked for


@pytest.mark.robust(
    "numbers",
    given="a confound of 1e9 that varies by 1e-7",
    before="standardised and regressed out: time series change by up to .48 SD",
    now="an error that names the column and its values; an exactly constant one takes nothing away",
)
def test_confounds_that_round_are_refused(data):
    lines = [line.split("\t") for line in confounds(data).read_text().splitlines()]
    rng = np.random.default_rng(0)

    def put(values):
        for line, value in zip(lines[1:], values, strict=True):
            line[0] = repr(float(value))
        confounds(data).write_text("\n".join("\t".join(line) for line in lines) + "\n")
        return read_confounds(confounds(data), ["trans_x"], len(values))

    n = len(lines) - 1
    for values in (1e9 + 2e-7 * rng.integers(0, 9, n), 0.1 + 2e-17 * (np.arange(n) % 3)):
        with pytest.raises(DatasetError, match="column 'trans_x' varies by rounding alone, from "):
            put(values)
    for values in (np.full(n, 0.1), np.zeros(n), 1e-30 * rng.normal(size=n), 1e4 + np.arange(n)):
        np.testing.assert_array_equal(put(values)[:, 0], values)


def test_a_volume_of_confounds_that_is_lost_is_seen(data):
    lines = confounds(data).read_text().splitlines()
    lines[7] = ""
    confounds(data).write_text("\n".join(lines))
    with pytest.raises(DatasetError, match="has 29 rows, the run has 30 volumes"):
        read(data, regress=["rot_z"])


@pytest.mark.robust(
    "BIDS",
    given="one-back tasks: a presentation of the stimulus that was shown just before it",
    before="no key to leave it out: one more sample",
    now="`repeats: drop` leaves it out, within a run",
)
def test_repeats_are_dropped_within_a_run(data):
    rows = ["x", "x", "x", "y", "n/a", "y", "x"]
    for run in ("01", "02"):
        lines = [f"{9 * n}\t9\tstimulus\t{name}\n" for n, name in enumerate(rows)]
        events(data, run=run).write_text(HEADER + "".join(reversed(lines)))
    assert read(data).stimulus_ids[:6].tolist() == ["x", "x", "x", "y", "y", "x"]
    parts = {split: part(split.title() + "ing" * (split == "train")) for split in ("train", "test")}
    parts["train"]["repeats"] = "drop"
    assert read(data, parts=parts).stimulus_ids[:6].tolist() == ["x", "y", "x"] * 2


def found(path, text, **how):
    path.write_text(text)
    return [
        (event.stimulus, event.line)
        for event in read_events(path, BidsPart(bold="a", events="b", stimulus="s", **how))
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "onset\tduration\ttrial_type\ts\n0\t3\tcue\tx\n3\t9\timagery\tx\n",
            r"lines 2 and 3 show 'x' one after the other as trial_type 'cue' and 'imagery'",
        ),
        (
            "onset\tduration\ttrial_no\ts\n0\t3\t1\tx\n3\t9\t1\tx\n",
            r"lines 2 and 3 show 'x' in one trial \(trial_no 1\)",
        ),
        (
            "onset\tduration\ttrial\ts\n0\t3\t1\tx\n3\t3\t1\ty\n6\t9\t1\tx\n",
            r"lines 2 and 4 show 'x' in one trial \(trial 1\)",
        ),
    ],
)
@pytest.mark.parametrize("repeats", ["keep", "drop"])
def test_trials_say_which_rows_are_presentations(tmp_path, text, message, repeats):
    with pytest.raises(DatasetError, match=message):
        found(tmp_path / "e.tsv", text, repeats=repeats)


def test_trials_that_are_counted_anew_are_others(tmp_path):
    text = "onset\tduration\ttrial\ts\n0\t3\t1\tx\n3\t3\t2\ty\n6\t9\t1\tx\n"
    assert found(tmp_path / "e.tsv", text) == [("x", 2), ("y", 3), ("x", 4)]
    text = "onset\tduration\ttrial_type\ts\n3\t9\timagery\tx\n0\t3\tcue\tx\n"
    assert found(tmp_path / "e.tsv", text, keep={"trial_type": ["imagery"]}) == [("x", 2)]
    assert len(found(tmp_path / "e.tsv", text, keep={"trial_type": ["cue", "imagery"]})) == 2

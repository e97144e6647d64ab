"""Rows of events that follow each other with one stimulus: parts of a trial, or repetitions."""

from __future__ import annotations

import pytest

from unitdb.errors import DatasetError
from unitdb.responses.bids_events import read_events
from unitdb.responses.bids_spec import BidsPart


def found(path, columns, rows, **how):
    lines = ["\t".join(["onset", "duration", *columns.split(), "s"])]
    path.write_text("\n".join([*lines, *("\t".join(map(str, row)) for row in rows), ""]))
    part = BidsPart(bold="a", events="b", stimulus="s", **how)
    return [(event.stimulus, event.line) for event in read_events(path, part)]


def trials(parts, *, seconds=(6, 6, 6), pause=0, stimuli="xyzx"):
    """Rows of trials that show a stimulus in several parts; ``parts(trial, place)`` gives cells."""
    onset, rows = 0, []
    for trial, stimulus in enumerate(stimuli):
        for place, duration in enumerate(seconds):
            rows.append((onset, duration, *parts(trial, place), stimulus))
            onset += duration + pause
        onset += 9
    return rows


PHASES = ("cue", "imagery", "evaluation")


@pytest.mark.robust(
    "BIDS",
    given="imagery without `keep` whose cue, imagery and evaluation a column of another name than "
    "event_type tells apart: in words, in numbers, with pauses, by durations alone; "
    "or a column of another name than trial_no that counts trials",
    before="read: three samples a trial",
    now="an error that names the lines, and what `keep` could say",
)
@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        ("phase", trials(lambda _, k: [PHASES[k]]), "as phase 'cue' and 'imagery'; say .*imagery"),
        ("phase", trials(lambda _, k: [PHASES[k]], pause=2), "as phase 'cue' and 'imagery'"),
        ("phase", trials(lambda _, k: [PHASES[k]], stimuli="x"), "as phase 'cue' and 'imagery'"),
        ("phase", trials(lambda _, k: [("n/a", *PHASES)[k]]), "as phase 'cue' and 'imagery'"),
        ("code", trials(lambda _, k: [k + 1]), "as code '1' and '2'"),
        ("code", trials(lambda _, k: [f"{k}.0"], pause=2), "as code '0.0' and '1.0'"),
        ("what", trials(lambda t, k: [f"{PHASES[k]} {t}"], seconds=(3, 9)), "for 3 s and 9 s"),
        ("", trials(lambda *_: [], seconds=(3, 15, 3)), "for 3 s and 15 s"),
        ("Trial", trials(lambda t, _: [t]), r"in one trial \(Trial 0\)"),
        ("trialNumber", trials(lambda t, _: [t], stimuli="xyx"), r"in one trial \(trialNumber 0\)"),
        ("trials.thisN", trials(lambda t, _: [t]), r"in one trial \(trials.thisN 0\)"),
        ("row nr", trials(lambda t, k: [3 * t + k, 2 * t]), r"in one trial \(nr 0\)"),
    ],
)
def test_parts_of_a_trial_are_told_by_the_table(tmp_path, columns, rows, message):
    with pytest.raises(DatasetError, match=message):
        found(tmp_path / "e.tsv", columns, rows)


def test_a_few_trials_among_others_have_parts(tmp_path):
    rows = [(9 * n, 9, "seen", stimulus) for n, stimulus in enumerate("xyzxyzxyz")]
    rows += [(81, 3, "cue", "x"), (84, 9, "imagery", "x"), (93, 3, "cue", "y")]
    message = "lines 11 and 12 show 'x' one after the other as part 'cue' and 'imagery'"
    with pytest.raises(DatasetError, match=message):
        found(tmp_path / "e.tsv", "part", rows)


@pytest.mark.parametrize("keep", [{"phase": ["imagery"]}, {"duration": ["15"]}])
def test_keep_says_which_parts_are_presentations(tmp_path, keep):
    rows = trials(lambda t, k: [PHASES[k], t], seconds=(3, 15, 3))
    assert found(tmp_path / "e.tsv", "phase trial", rows, keep=keep) == [
        *(("x", 3), ("y", 6), ("z", 9), ("x", 12))
    ]


def test_all_values_that_keep_names_are_presentations(tmp_path):
    rows = trials(lambda t, k: [PHASES[k], t], seconds=(3, 15, 3))
    both = {"phase": ["cue", "imagery"]}
    assert [line for _, line in found(tmp_path / "e.tsv", "phase trial", rows, keep=both)] == [
        *(2, 3, 5, 6, 8, 9, 11, 12)
    ]


@pytest.mark.robust(
    "BIDS",
    given="a column `trial` or `trial_id` that counts no trials: one word in all rows, or the "
    "number of the picture",
    before="refused, and `keep` of this very column did not help",
    now="`keep` names what are presentations, as of all columns; the error says how",
)
@pytest.mark.parametrize("cells", [["main"] * 4, [1, 1, 2, 1]])
def test_trials_may_be_something_else(tmp_path, cells):
    rows = [(9 * n, 3, cell, s) for n, (cell, s) in enumerate(zip(cells, "xxyx", strict=True))]
    with pytest.raises(DatasetError, match=r"or, if all are, `keep: \{trial_id: \['\*'\]\}`"):
        found(tmp_path / "e.tsv", "trial_id", rows)
    for keep in (["*"], [str(cell) for cell in cells]):
        kept = found(tmp_path / "e.tsv", "trial_id", rows, keep={"trial_id": keep})
        assert [stimulus for stimulus, _ in kept] == list("xxyx")


ONE_BACK = "xyyzxzzyxxzyzz"


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        ("trial_no response_time", lambda n, again: [n, 0.4 + n / 100 if again else "n/a"]),
        ("button correct", lambda _, again: [int(again), again]),
        ("response", lambda _, again: ["hit" if again else "n/a"]),
        ("jitter", lambda n, _: [2.0 + n % 3]),
        ("trial_id stamp", lambda n, _: [f"t{n:03d}", f"12:03:{n:02d}"]),
        ("block run", lambda n, _: [n // 7, "run-01"]),
        ("file", lambda n, _: [f"{ONE_BACK[n]}{n % 2}.png"]),
        ("", lambda *_: []),
    ],
)
@pytest.mark.parametrize("repeats", ["keep", "drop"])
def test_repetitions_are_presentations(tmp_path, columns, cells, repeats):
    shown = list(zip(ONE_BACK, " " + ONE_BACK, strict=False))
    rows = [
        (9 * n, 8.9 + n % 3 / 10, *cells(n, name == before), name)
        for n, (name, before) in enumerate(shown)
    ]
    expected = [
        (name, n + 2)
        for n, (name, before) in enumerate(shown)
        if repeats == "keep" or name != before
    ]
    assert found(tmp_path / "e.tsv", columns, rows, repeats=repeats) == expected


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        ("", lambda _: []),
        ("trial_no rating", lambda n: [n, n * n * 7 % 5]),
        ("onset_time", lambda n: [0.25 * n]),
    ],
)
def test_pictures_that_are_shown_several_times_in_a_row(tmp_path, columns, cells):
    rows = [(2 * n, 1, *cells(n), "xyzxyz"[n // 4]) for n in range(24)]
    assert len(found(tmp_path / "e.tsv", columns, rows)) == 24

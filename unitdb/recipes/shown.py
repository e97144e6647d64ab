"""What was shown, and what is decoded from it: rows of the tables ``stimuli`` and ``test_sets``."""

from __future__ import annotations

from collections import defaultdict

from unitdb.recipes.dataset import DatasetInput
from unitdb.specs import content_sha256
from unitdb.tables import Rows, set_row

__all__ = ["set_rows", "stimulus_rows"]

_LISTED = 5


def stimulus_rows(dataset: DatasetInput) -> Rows:
    """Columns of table ``stimuli`` that say which pictures were shown, and what they are."""
    stimuli, split_of = dataset.stimuli, dataset.split_of
    sha256s = dict(zip(stimuli.ids, stimuli.sha256s(), strict=True))
    sources = dict(zip(stimuli.ids, stimuli.sources, strict=True))
    for category, members in dataset.categories.items():
        sha256s[category] = content_sha256([sha256s[name] for name in members])
        listed = ", ".join(members[:_LISTED]) + (", …" if len(members) > _LISTED else "")
        sources[category] = f"category, the mean of {len(members)}: {listed}"
    originals, levels = _degraded(dataset)
    return [
        {
            "stimulus": name,
            "split": split_of[name],
            "sha256": sha256,
            "source": sources[name],
            "original": originals.get(name),
            "level": levels.get(name),
        }
        for name, sha256 in sha256s.items()
        if name in split_of
    ]


def _degraded(dataset: DatasetInput) -> tuple[dict[str, str], dict[str, float]]:
    """Originals of stimuli, and the level of those that have one in all test sets with a level."""
    originals, levels = dict(dataset.stimuli.originals), defaultdict[str, set[float]](set)
    for each in dataset.sets:
        if each.test.level is None:
            continue
        for subject in dataset.subjects:
            shown, targets = subject.shown(each.name).tolist(), subject.targets(each.name).tolist()
            for name, target in zip(shown, targets, strict=True):
                levels[name].add(each.test.level)
                if target != name and each.test.targets == "stimuli":
                    originals.setdefault(name, target)
    return originals, {name: min(found) for name, found in levels.items() if len(found) == 1}


def set_rows(dataset: DatasetInput) -> Rows:
    """Rows of table ``test_sets``."""
    return [
        set_row(
            dataset.spec.name,
            each.name,
            n_samples=len(each.rows),
            n_targets=dataset.n_targets(each.name),
            n_presentations=dataset.n_presentations(each.name),
            targets=each.test.targets,
            averaged=each.test.average,
            time=each.test.time,
            level=each.test.level,
            prior=each.test.prior,
            labels=each.test.labels or None,
        )
        for each in dataset.sets
    ]

"""What was shown, and what is decoded from it: rows of the tables ``stimuli`` and ``test_sets``."""

from __future__ import annotations

from unitdb.recipes.dataset import DatasetInput
from unitdb.specs import content_sha256
from unitdb.tables import Rows, set_row

__all__ = ["set_rows", "stimulus_rows"]

_LISTED = 5


def stimulus_rows(dataset: DatasetInput) -> list[dict[str, str]]:
    """Columns of table ``stimuli`` that say which pictures were shown, and what they are."""
    stimuli, split_of = dataset.stimuli, dataset.split_of
    sha256s = dict(zip(stimuli.ids, stimuli.sha256s(), strict=True))
    sources = dict(zip(stimuli.ids, stimuli.sources, strict=True))
    for category, members in dataset.categories.items():
        sha256s[category] = content_sha256([sha256s[name] for name in members])
        listed = ", ".join(members[:_LISTED]) + (", …" if len(members) > _LISTED else "")
        sources[category] = f"category, the mean of {len(members)}: {listed}"
    return [
        {"stimulus": name, "split": split_of[name], "sha256": sha256, "source": sources[name]}
        for name, sha256 in sha256s.items()
        if name in split_of
    ]


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

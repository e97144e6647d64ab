"""Real events of one person of three OpenNeuro datasets, beside made-up images of their volumes.

Voxels of the images hold the number of their volume, as it was measured: samples tell their time.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from unitdb.errors import DatasetError
from unitdb.responses import find_dataset
from unitdb.responses.spec import DatasetSpec
from unitdb.specs import read_spec

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("UNITDB_REALDATA", ROOT.parent / "shared" / "realdata")) / "events"
NEEDED = pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL}: no real events")


def shipped(name):
    return read_spec(find_dataset(name, [ROOT / "datasets"]), DatasetSpec, DatasetError)


def lay_out(root, source, sessions, *, image, n_volumes, seconds, first=0):
    """Link the real events, and write an image of each run; its voxels are volume numbers."""
    (root / "sub-01").mkdir(parents=True, exist_ok=True)
    for sidecar in source.glob("*.json"):
        if not (root / sidecar.name).exists():
            (root / sidecar.name).symlink_to(sidecar)
    content = nib.Nifti1Image(
        np.broadcast_to(np.arange(first, first + n_volumes, dtype=np.int16), (2, 1, 1, n_volumes)),
        np.eye(4),
    )
    content.header.set_xyzt_units("mm", "sec")
    content.header.set_zooms((1.0, 1.0, 1.0, seconds))
    content = content.to_bytes()
    for session in sorted((source / "sub-01").glob(sessions)):
        (root / "sub-01" / session.name).symlink_to(session)
        for events in sorted(session.glob("func/*_events.tsv")):
            path = root / image.format(session=session.name, run=events.name[: -len("_events.tsv")])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def write_masks(root, names):
    folder = root / "sourcedata" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    mask = nib.Nifti1Image(np.ones((2, 1, 1), np.uint8), np.eye(4))
    for name in names:
        for side in ("LH", "RH"):
            nib.save(mask, folder / f"sub-01_mask_{side}_{name}.nii.gz")


def presentations(source, sessions, *, stimulus, keep=None):
    """Onset, duration and name of each presentation, by another reading than unitdb's."""
    for session in sorted((source / "sub-01").glob(sessions)):
        for path in sorted(session.glob("func/*_events.tsv")):
            with path.open(newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t"))
            for row, before in zip(rows, [None, *rows], strict=False):
                if row[stimulus] != "n/a" and (keep is None or keep(row)):
                    again = before is not None and before[stimulus] == row[stimulus]
                    yield float(row["onset"]), float(row["duration"]), row[stimulus], again


def plain(spec, *, gz):
    """The spec without what changes values: samples are then mean numbers of volumes."""
    content = spec.model_dump(by_alias=True)
    content["responses"] |= {"trend": 0, "normalise": None, "regress": []}
    if not gz:
        parts = [content["responses"]["train"], *content["responses"]["tests"].values()]
        for part in parts:
            part["bold"] = part["bold"].removesuffix(".gz")
    return DatasetSpec.model_validate(content)


MASKS = ("V1d", "V1v", "V2d", "V2v", "V3d", "V3v", "V4", "LOC", "FFA", "PPA")


def of_test(responses, name):
    """Stimuli, targets and volume numbers of a test set."""
    rows = responses.split == name
    return responses.stimulus_ids[rows], responses.target_ids[rows], responses.values[rows, 0]

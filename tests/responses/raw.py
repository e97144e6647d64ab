"""Raw images in the layout of the published ones of god, and the dataset.yaml that reads them.

Without pytest: ``tests.versions`` reads them with the packages of other venvs.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np

from unitdb.responses.bids import bids_responses
from unitdb.responses.spec import DatasetSpec

SHAPE, N_VOLUMES, SECONDS = (6, 5, 4), 30, 3.0
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
EVENTS = [(6.0, "apple"), (18.0, "bird"), (30.0, "car"), (42.0, "apple"), (66.0, "dog")]
RUNS = [("perceptionTraining01", "01"), ("perceptionTraining01", "02"), ("perceptionTest01", "01")]


def run_name(session, run):
    return f"sub-01_ses-{session}_task-perception_run-{run}"


def write(root):
    """Lay files out as the published raw and preprocessed images of god are."""
    rng = np.random.default_rng(0)
    anatomy = root / "sourcedata" / "sub-01" / "anat"
    anatomy.mkdir(parents=True)
    for number, name in enumerate(("LH_V1d", "LH_V1v", "RH_V1d", "LH_V4")):
        mask = np.zeros(SHAPE, dtype=np.uint8)
        mask.reshape(-1)[number * 7 : number * 7 + 9] = 1
        nib.save(nib.Nifti1Image(mask, AFFINE), anatomy / f"sub-01_mask_{name}.nii.gz")
    for session, run in RUNS:
        raw = root / "sub-01" / f"ses-{session}" / "func"
        ready = root / "derivatives" / "sub-01" / f"ses-{session}" / "func"
        raw.mkdir(parents=True, exist_ok=True)
        ready.mkdir(parents=True, exist_ok=True)
        values = 1000 + 30 * rng.normal(size=(*SHAPE, N_VOLUMES)).astype(np.float32)
        image = nib.Nifti1Image(values, AFFINE)
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((3.0, 3.0, 3.0, SECONDS))
        nib.save(image, ready / f"{run_name(session, run)}_bold_preproc.nii.gz")
        lines = ["onset\tduration\ttrial_no\tevent_type\tstim_id"]
        lines.append("0.0\t6.0\t0\trest\tn/a")
        shown = ["egg" if session.startswith("perceptionTest") else name for _, name in EVENTS]
        for number, ((onset, _), name) in enumerate(zip(EVENTS, shown, strict=True), 1):
            lines.append(f"{onset}\t9.0\t{number}\tstimulus\t{name}")
        (raw / f"{run_name(session, run)}_events.tsv").write_text("\n".join(lines) + "\n")
        motion = rng.normal(size=(N_VOLUMES, 2))
        table = ["trans_x\trot_z", *("\t".join(f"{v:.6f}" for v in row) for row in motion)]
        table[1] = "n/a\t" + table[1].split("\t")[1]
        name = f"{run_name(session, run)}_desc-confounds_timeseries.tsv"
        (ready / name).write_text("\n".join(table) + "\n")


def part(kind):
    sessions = f"sub-*/ses-perception{kind}*/func"
    return {
        "bold": f"derivatives/{{subject}}/ses-perception{kind}*/func/*_bold_preproc.nii.gz",
        "events": f"{{subject}}/ses-perception{kind}*/func/*_events.tsv",
        "confounds": f"derivatives/{sessions}/*_desc-confounds_timeseries.tsv",
        "stimulus": "stim_id",
        "keep": {"event_type": ["stimulus"]},
    }


def sets(parts):
    """Keys of dataset.yaml from parts named train and test, or cross-validation."""
    tests = {} if "test" not in parts else {"tests": {"perception": parts["test"]}}
    return {name: parts[name] for name in parts if name != "test"} | tests


def spec(parts=None, **options):
    return DatasetSpec.model_validate(
        {
            "name": "raw",
            "title": "Raw images",
            "description": "Made for a test.",
            "licence": "none",
            "source": "a test",
            "citation": "none",
            "subjects": ["sub-01"],
            "rois": {"V1": "primary", "V4": "fourth"},
            "stimuli": {"kind": "folder", "folder": "pictures", "ending": ".png"},
            "responses": {
                "kind": "bids",
                "root": "bids",
                **sets(parts or {"train": part("Training"), "test": part("Test")}),
                "masks": {
                    "V1": ["sourcedata/{subject}/anat/{subject}_mask_?H_V1*.nii.gz"],
                    "V4": ["sourcedata/{subject}/anat/{subject}_mask_LH_V4.nii.gz"],
                },
                "shift": 3.0,
                **options,
            },
        }
    )


def read(data, **options):
    found = spec(**options)
    return bids_responses(found, found.responses, "sub-01", data)


def bold(data, session="perceptionTraining01", run="01"):
    name = f"{run_name(session, run)}_bold_preproc.nii.gz"
    return data / "bids" / "derivatives" / "sub-01" / f"ses-{session}" / "func" / name


def events(data, session="perceptionTraining01", run="01"):
    name = f"{run_name(session, run)}_events.tsv"
    return data / "bids" / "sub-01" / f"ses-{session}" / "func" / name


def events_are(rows, header="onset\tduration\tevent_type\tstim_id"):
    """Change that writes a run's events anew."""
    return lambda data: events(data).write_text(f"{header}\n{rows}")


def mask(data, name="LH_V4"):
    return data / "bids" / "sourcedata" / "sub-01" / "anat" / f"sub-01_mask_{name}.nii.gz"


def save_mask(data, values, affine=AFFINE):
    nib.save(nib.Nifti1Image(values.astype(np.uint8), affine), mask(data))


def with_numbers(folder, *, followed_by="\n"):
    """Have events tell pictures by number; gives the numbers."""
    names = ["apple", "bird", "car", "dog", "egg"]
    numbers = {name: 1443537 + place for place, name in enumerate(names)}
    for path in folder.rglob("*_events.tsv"):
        text = path.read_text()
        for name, number in numbers.items():
            text = text.replace(f"\t{name}{followed_by}", f"\t{number}.022563{followed_by}")
        path.write_text(text)
    return numbers

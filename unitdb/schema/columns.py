"""Columns and references that several tables share, and the kinds of columns there are."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa

from unitdb.schema.spec import Column, ForeignKey

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
"""Names of datasets, models, layers, ROIs and subjects: they become folder names and URLs.

Releases may hold any such name; :func:`name_problem` says which new ones may be.
"""

LONGEST_NAME = 100

_OF_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def is_device(name: str) -> bool:
    """Whether Windows takes a name, with any ending, for a device."""
    return bool(_OF_DEVICES.fullmatch(name))


def name_problem(name: str) -> str | None:
    """Why a text cannot be a name, which becomes a folder on any system; None where it can."""
    if not re.fullmatch(NAME_PATTERN, name):
        return "must be of letters, digits and ._+- alone, a letter or digit first"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters; {LONGEST_NAME} are the most"
    if name.endswith("."):
        return "ends with a dot, which no folder of Windows does; take another"
    if is_device(name):
        return "is the name of a device of Windows, and no folder there; take another"
    return None


def alike_names(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names that differ in case alone, which are one folder on some systems."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.casefold(), name)) != name:
            return other, name
    return None


CONDITION_PATTERN = rf"{NAME_PATTERN}(@[+-][0-9.]+s)?"
"""Names of test sets."""

# Names repeat over millions of rows; dictionary encoding keeps them at a few bytes in memory too.
NAME = pa.dictionary(pa.int32(), pa.string())
TEXT = pa.string()

UNDEFINED_R = (
    "NULL where r does not exist: the unit answers the same to all test or all training images, "
    "to within 2⁻¹⁶ of its largest answer, or its prediction is constant"
)


def name_column(name: str, description: str) -> Column:
    """A name: of a folder, in URLs."""
    return Column(name=name, type=NAME, description=description, pattern=NAME_PATTERN)


DATASET = name_column("dataset", "Name of the fMRI dataset")
CONDITION = Column(
    name="condition",
    type=NAME,
    description="Name of the test set, which says what the subject did: perception, imagery, …; "
    "of a window the time from onset follows, as in imagery@+6s",
    pattern=CONDITION_PATTERN,
)
MODEL = name_column("model", "Name of the network")
LAYER = name_column("layer", "Name of the layer within the network")
ROI = name_column("roi", "Region of interest of the brain")
SUBJECT = name_column("subject", "Identifier of the person")
DECODED = (DATASET, CONDITION, MODEL, LAYER, ROI)
"""What names a layer that is decoded from an ROI."""
KIND = Column(
    name="kind",
    type=NAME,
    description="What the score rests on: decoding, encoding, or the average of both scores",
    pattern="decoding|encoding|average",
)
METHOD = Column(
    name="method",
    type=NAME,
    description="What makes an ROI the best one: as published (nonaka2021), or corrected",
    pattern="nonaka2021|corrected",
)
BUILD = Column(
    name="build",
    type=NAME,
    description="Identifier of the build that computed the row",
    pattern=r"[0-9a-f]{12}",
)
UNIT = Column(
    name="unit",
    type=pa.int32(),
    description="Flat C-order index into the layer's activation of one image, of layers.shape",
    unit="index from 0",
    minimum=0,
)


def correlation(
    name: str,
    description: str,
    *,
    null: str,
    type_: pa.DataType | None = None,
    since: str = "2.0",
) -> Column:
    """A Pearson or Spearman correlation."""
    return Column(
        name=name,
        type=type_ or pa.float64(),
        description=description,
        unit="Pearson r",
        null=null,
        minimum=-1.0,
        maximum=1.0,
        since=since,
    )


def unit_correlation(name: str, description: str, *, null: str) -> Column:
    """A correlation that each unit has one of: float32."""
    return correlation(name, description, null=null, type_=pa.float32())


NOT_STATED = "NULL where accuracies were imported whose publication does not state it"


def share(
    name: str, description: str, *, unit: str, null: str, type_: pa.DataType | None = None
) -> Column:
    """A share or a probability."""
    return Column(
        name=name,
        type=type_ or pa.float64(),
        description=description,
        unit=unit,
        null=null,
        minimum=0.0,
        maximum=1.0,
    )


def count(
    name: str,
    description: str,
    *,
    unit: str,
    minimum: int = 0,
    null: str | None = None,
    since: str = "2.0",
) -> Column:
    """A number of things, or an index."""
    return Column(
        name=name,
        type=pa.int32(),
        description=description,
        unit=unit,
        null=null,
        minimum=minimum,
        since=since,
    )


def text(name: str, description: str, *, null: str | None = None, since: str = "2.0") -> Column:
    """Free text, or JSON."""
    return Column(name=name, type=TEXT, description=description, null=null, since=since)


def sha256(name: str, description: str, *, null: str | None = None) -> Column:
    """A hash, in hexadecimal."""
    return Column(name=name, type=TEXT, description=description, null=null, pattern=r"[0-9a-f]{64}")


BIN = Column(
    name="bin",
    type=pa.int32(),
    description="Lower edge of the bin in hundredths: floor(100 r), at least -100 and at most 99; "
    "a bin that holds no unit has no row",
    unit="Pearson r / 100",
    minimum=-100,
    maximum=99,
)
N_IN_BIN = count("n_units", "Units in the bin", unit="units", minimum=1)


def interval(name: str, what: str, *, null: str) -> tuple[Column, Column]:
    """Both ends of the interval of a correlation."""
    return (
        correlation(f"{name}_low", f"Lower end of {what}", null=null),
        correlation(f"{name}_high", f"Upper end of {what}", null=null),
    )


NO_UNIT = "NULL where no unit of the layer has an accuracy"
NO_SUBJECT = "NULL where the unit has an accuracy in no subject"
NO_P = (
    "NULL where it does not exist, or the build has no test that is valid for its design "
    "(see builds.significance)"
)
NO_PATTERN = "NULL where predictions are not at hand, or a pattern does not vary"
NO_SCORE = (
    "NULL where it does not exist: no unit has a best ROI that is significant, or all that have "
    "one are of one layer, or of one ROI"
)
NO_BLOCKS = "NULL where the units are of too few channels, or there is no correlation"
NO_CONTROLS = "NULL where the build has no controls (see builds.significance)"
NO_REPEATS = (
    "NULL where single presentations were not decoded, predictions do not vary, or halves are as "
    "good as opposed"
)
OF_IMAGES = "95 % interval over test images"
OF_CHANNELS = "95 % interval over channels"

OF_DATASET = ForeignKey(columns=("dataset",), table="datasets")
OF_ROI = ForeignKey(columns=("dataset", "roi"), table="rois")
OF_SUBJECT = ForeignKey(columns=("dataset", "subject", "roi"), table="subjects")
OF_STIMULUS = ForeignKey(columns=("dataset", "stimulus"), table="stimuli")
OF_MODEL = ForeignKey(columns=("model",), table="models")
OF_LAYER = ForeignKey(columns=("model", "layer"), table="layers")
OF_BUILD = ForeignKey(columns=("build",), table="builds")

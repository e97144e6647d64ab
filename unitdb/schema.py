"""Every published table: its columns, types, units, keys and meaning.

This module is the one source for the Parquet files, the checks on them, the metadata published
beside them and the data dictionary (``unitdb schema``, ``docs/schema.md``).

Two conventions hold for all tables:

- Rows are sorted, names in code-point order: by the primary key, or where a table says so by
  another key (``Table.order``) that puts what is asked for first.
- An accuracy that does not exist is NULL, never NaN: comparisons, ``ORDER BY`` and ``avg`` in SQL
  then leave it out by themselves, and Parquet statistics stay usable. pandas shows it as NaN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unitdb.errors import SchemaError, UnknownColumnError, UnknownTableError

__all__ = [
    "SCHEMA_VERSION",
    "TABLES",
    "Column",
    "ForeignKey",
    "Table",
    "data_dictionary",
    "frictionless",
    "get_table",
    "tables_of",
]

SCHEMA_VERSION = "2.0"
"""MAJOR.MINOR. MINOR adds tables or nullable columns; MAJOR changes what is there."""

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
"""Names of datasets, models, layers, ROIs and subjects: they become folder names and URLs."""

# Names repeat over millions of rows; dictionary encoding keeps them at a few bytes in memory too.
NAME = pa.dictionary(pa.int32(), pa.string())
TEXT = pa.string()

# Nothing is clamped: a correlation of equal vectors may be 1 + 2e-16, and is stored so.
_ROUNDING = 1e-6

_UNDEFINED_R = (
    "NULL where r does not exist: the unit answers the same to all test images, "
    "or its prediction is constant"
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a published table.

    Parameters
    ----------
    name : str
        Name in Parquet, SQL and pandas.
    type : pyarrow.DataType
        Arrow type as written to Parquet.
    description : str
        What a value means, in one sentence.
    unit : str, optional
        Unit or scale, for example ``"Pearson r"``.
    null : str, optional
        What NULL means; where it is not given, NULL is not allowed. NaN is never allowed.
    minimum, maximum : float, optional
        Closed range of valid values.
    pattern : str, optional
        Regular expression that the whole of each string matches.
    since : str
        Schema version that has it first; releases of older ones are without it.
    """

    name: str
    type: pa.DataType
    description: str
    unit: str | None = None
    null: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    since: str = "2.0"

    @property
    def logical_type(self) -> str:
        """Name of the type without its encoding: ``string``, ``int32``, ``list<int32>``, …."""
        if pa.types.is_dictionary(self.type):
            return str(self.type.value_type)
        if pa.types.is_list(self.type):
            return f"list<{self.type.value_type}>"
        return str(self.type)

    def validate(self, values: pa.ChunkedArray, *, where: str) -> None:
        """Raise SchemaError where values are NULL, NaN, out of range or off the pattern.

        Parameters
        ----------
        values : pyarrow.ChunkedArray of shape (n_rows,)
            The column's values, in this column's type.
        where : str
            The table or file, for the message.

        Raises
        ------
        SchemaError
            Names the column, the first offending value and the rule.
        """
        place = f"{where}: column {self.name!r}"
        if self.null is None and values.null_count:
            raise SchemaError(f"{place}: {values.null_count} NULL where none is allowed")
        if pa.types.is_dictionary(self.type):
            values = pa.chunked_array([chunk.dictionary for chunk in values.chunks], pa.string())
        if pa.types.is_floating(self.type):
            nan = pc.sum(pc.is_nan(values)).as_py() or 0
            if nan:
                raise SchemaError(f"{place}: {nan} NaN (a value that does not exist is NULL)")
        if self.minimum is not None or self.maximum is not None:
            extremes = pc.min_max(values).as_py()
            low, high = extremes["min"], extremes["max"]
            slack = _ROUNDING if pa.types.is_floating(self.type) else 0
            if low is not None and self.minimum is not None and low < self.minimum - slack:
                raise SchemaError(f"{place}: {low!r} is below the minimum {self.minimum!r}")
            if high is not None and self.maximum is not None and high > self.maximum + slack:
                raise SchemaError(f"{place}: {high!r} is above the maximum {self.maximum!r}")
        if self.pattern is not None:
            for value in values.unique().to_pylist():
                if value is not None and not re.fullmatch(self.pattern, value):
                    raise SchemaError(f"{place}: {value!r} does not match {self.pattern!r}")


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """Columns whose values must be a row of another table.

    Parameters
    ----------
    columns : tuple of str
        Columns of this table; they have the same names in the other one.
    table : str
        The other table.
    """

    columns: tuple[str, ...]
    table: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """One published table.

    Parameters
    ----------
    name : str
        Name in SQL, and of its file or folder in a release.
    row : str
        What a row is.
    columns : tuple of Column
        In the order of the file.
    primary_key : tuple of str
        Columns that name a row.
    order : tuple of str
        Columns that rows are sorted by, strictly increasing; the primary key where not given.
    foreign_keys : tuple of ForeignKey
        References to other tables.
    partition_by : tuple of str
        Leading columns of the order that become folders; empty for a single file.
    since : str
        Schema version that has it first; releases of older ones are without it.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    order: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    partition_by: tuple[str, ...] = ()
    since: str = "2.0"
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})
        object.__setattr__(self, "order", self.order or self.primary_key)

    def __getitem__(self, name: str) -> Column:
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownColumnError(
                name, self.column_names, where=f"table {self.name!r}", hint="unitdb schema"
            ) from None

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the file."""
        return tuple(self._by_name)

    def at(self, version: str) -> Table:
        """Return the table as a schema version has it: without the columns that came later.

        Parameters
        ----------
        version : str
            MAJOR.MINOR.
        """
        known = tuple(c for c in self.columns if _numbers(c.since) <= _numbers(version))
        return self if known == self.columns else replace(self, columns=known)

    def arrow_schema(self) -> pa.Schema:
        """Arrow schema of the Parquet file, descriptions in the fields' metadata."""
        return pa.schema(
            [
                pa.field(
                    c.name,
                    c.type,
                    nullable=c.null is not None,
                    metadata={"description": c.description, "unit": c.unit or ""},
                )
                for c in self.columns
            ],
            metadata={"unitdb:table": self.name, "unitdb:schema": SCHEMA_VERSION},
        )

    def validate(self, table: pa.Table, *, where: str | None = None) -> None:
        """Raise SchemaError unless ``table`` has exactly these columns, types and valid values.

        Parameters
        ----------
        table : pyarrow.Table
            Rows of this table, all or some of them.
        where : str, optional
            The file, for the message; the table's name where it is not given.

        Raises
        ------
        SchemaError
            Names the place, the column and the first offending value.
        """
        where = where or f"table {self.name!r}"
        if tuple(table.column_names) != self.column_names:
            raise SchemaError(
                f"{where}: columns are {', '.join(table.column_names)}; "
                f"expected {', '.join(self.column_names)}"
            )
        for column in self.columns:
            found = table.schema.field(column.name).type
            if found != column.type:
                raise SchemaError(
                    f"{where}: column {column.name!r} has type {found}, expected {column.type}"
                )
            column.validate(table[column.name], where=where)


def get_table(name: str) -> Table:
    """Return the spec of the table of this name.

    Raises
    ------
    UnknownTableError
        Lists the nearest names.
    """
    try:
        return TABLES[name]
    except KeyError:
        raise UnknownTableError(name, TABLES, hint="unitdb schema") from None


def tables_of(version: str) -> list[str]:
    """Names of the tables that releases of a schema version have.

    Parameters
    ----------
    version : str
        MAJOR.MINOR.
    """
    return [name for name, table in TABLES.items() if _numbers(table.since) <= _numbers(version)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


# --- columns that several tables share ----------------------------------------------------------


def _name(name: str, description: str) -> Column:
    return Column(name=name, type=NAME, description=description, pattern=NAME_PATTERN)


DATASET = _name("dataset", "Name of the fMRI dataset")
CONDITION = Column(
    name="condition",
    type=NAME,
    description="What the subject did: perception, imagery, or viewing blurred images",
    pattern=r"perception|imagery|blur-[A-Za-z0-9.]+",
)
MODEL = _name("model", "Name of the network")
LAYER = _name("layer", "Name of the layer within the network")
ROI = _name("roi", "Region of interest of the brain")
SUBJECT = _name("subject", "Identifier of the person")
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
    description="Flat C-order index into the layer's activation of one image, (C, H, W) or (N,)",
    unit="index from 0",
    minimum=0,
)


def _r(
    name: str,
    description: str,
    *,
    null: str,
    type_: pa.DataType | None = None,
    since: str = "2.0",
) -> Column:
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


def _unit_r(name: str, description: str, *, null: str) -> Column:
    return _r(name, description, null=null, type_=pa.float32())


_NOT_STATED = "NULL where accuracies were imported whose publication does not state it"


def _share(
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


def _count(
    name: str,
    description: str,
    *,
    unit: str,
    minimum: int = 0,
    null: str | None = None,
    since: str = "2.0",
) -> Column:
    return Column(
        name=name,
        type=pa.int32(),
        description=description,
        unit=unit,
        null=null,
        minimum=minimum,
        since=since,
    )


def _text(name: str, description: str, *, null: str | None = None, since: str = "2.0") -> Column:
    return Column(name=name, type=TEXT, description=description, null=null, since=since)


def _sha256(name: str, description: str, *, null: str | None = None) -> Column:
    return Column(name=name, type=TEXT, description=description, null=null, pattern=r"[0-9a-f]{64}")


_BIN = Column(
    name="bin",
    type=pa.int32(),
    description="Lower edge of the bin in hundredths: floor(100 r), at least -100 and at most 99; "
    "a bin that holds no unit has no row",
    unit="Pearson r / 100",
    minimum=-100,
    maximum=99,
)
_N_IN_BIN = _count("n_units", "Units in the bin", unit="units", minimum=1)


def _interval(name: str, what: str, *, null: str) -> tuple[Column, Column]:
    """Both ends of the interval of a correlation."""
    return (
        _r(f"{name}_low", f"Lower end of {what}", null=null),
        _r(f"{name}_high", f"Upper end of {what}", null=null),
    )


_NO_UNIT = "NULL where no unit of the layer has an accuracy"
_NO_SUBJECT = "NULL where the unit has an accuracy in no subject"
_NO_P = (
    "NULL where it does not exist, or the build has no test that is valid for its design "
    "(see builds.significance)"
)
_NO_PATTERN = "NULL where predictions are not at hand, or a pattern does not vary"
_NO_SCORE = "NULL where it does not exist: all units are of one layer, or of one ROI"
_NO_BLOCKS = "NULL where the units are of too few channels, or there is no correlation"
_NO_CONTROLS = "NULL where the build has no controls (see builds.significance)"
_OF_IMAGES = "95 % interval over test images"
_OF_CHANNELS = "95 % interval over channels"

# --- the tables ---------------------------------------------------------------------------------

_TABLES = (
    Table(
        name="datasets",
        row="an fMRI dataset",
        columns=(
            DATASET,
            _text("title", "Title in one line"),
            Column(
                name="simulated",
                type=pa.bool_(),
                description="True where the responses are simulated, not measured",
            ),
            _text("licence", "Licence of the responses, or that none is stated"),
            _text("source", "Where the responses come from: URL, DOI or program"),
            _text("citation", "How to cite the dataset"),
            _count("n_subjects", "Number of subjects", unit="subjects", minimum=1),
            _count("n_stimuli", "Number of stimuli", unit="stimuli", minimum=1, null=_NOT_STATED),
            Column(
                name="voxel_selection",
                type=pa.bool_(),
                description="Whether selecting voxels is meaningful (not so for virtual voxels)",
            ),
            Column(
                name="zscore",
                type=pa.bool_(),
                description="Whether z-scoring voxels is meaningful (not so for virtual voxels)",
            ),
        ),
        primary_key=("dataset",),
    ),
    Table(
        name="rois",
        row="a region of interest of a dataset",
        columns=(
            DATASET,
            ROI,
            _count(
                "place",
                "Place in the dataset's own order of its ROIs, from 0 (early areas first)",
                unit="index from 0",
            ),
            _text("description", "What the region is"),
        ),
        primary_key=("dataset", "roi"),
        foreign_keys=(ForeignKey(columns=("dataset",), table="datasets"),),
    ),
    Table(
        name="subjects",
        row="a region of interest of a subject of a dataset",
        columns=(
            DATASET,
            SUBJECT,
            ROI,
            _count(
                "n_voxels",
                "Number of voxels of the ROI",
                unit="voxels",
                minimum=1,
                null=_NOT_STATED,
            ),
            _count(
                "n_train",
                "Samples used for training; in cross-validation, all samples",
                unit="samples",
                minimum=1,
                null=_NOT_STATED,
            ),
            _count(
                "n_test",
                "Test images (after averaging of repeats) that the accuracy is taken over",
                unit="images",
                minimum=1,
            ),
            _sha256(
                "responses_sha256",
                "Hash of the subject's responses, ROI masks and ids",
                null=_NOT_STATED,
            ),
        ),
        primary_key=("dataset", "subject", "roi"),
        foreign_keys=(
            ForeignKey(columns=("dataset",), table="datasets"),
            ForeignKey(columns=("dataset", "roi"), table="rois"),
        ),
    ),
    Table(
        name="stimuli",
        row="a picture that was shown",
        columns=(
            DATASET,
            Column(name="stimulus", type=TEXT, description="Identifier of the stimulus"),
            Column(
                name="split",
                type=NAME,
                description="Use in decoding: train, test, or cross-validation (each in turn)",
                pattern="train|test|cross-validation",
            ),
            _sha256(
                "sha256",
                "Hash of the picture's shape and RGB pixels, or of its name where it is missing",
            ),
            _text("source", "Photograph or file that the stimulus was made from"),
        ),
        primary_key=("dataset", "stimulus"),
        foreign_keys=(ForeignKey(columns=("dataset",), table="datasets"),),
    ),
    Table(
        name="models",
        row="a network: weights and preprocessing",
        columns=(
            MODEL,
            _text("title", "Title in one line"),
            _sha256(
                "weights_sha256",
                "Hash of all parameters and buffers, or of the files of activations",
                null=_NOT_STATED,
            ),
            _sha256(
                "model_sha256",
                "Identity: hash of weights, preprocessing, factory, layers",
                null=_NOT_STATED,
            ),
            _text("factory", "Import path of the callable that makes the network"),
            _text("preprocessing", "From picture to input tensor, as JSON"),
            _text("licence", "Licence of the weights, or that none is stated"),
            _text("source", "Where the weights come from"),
            _text("citation", "How to cite the network"),
            _text(
                "checked_on",
                "Shipped photographs that the network classified correctly, comma-separated",
                null="NULL where the network has no class outputs to check",
            ),
            _count("n_layers", "Number of layers in the database", unit="layers", minimum=1),
        ),
        primary_key=("model",),
    ),
    Table(
        name="layers",
        row="a layer of a network",
        columns=(
            MODEL,
            LAYER,
            _count("depth", "Place in the order of layers, from 0", unit="index from 0"),
            _text("module", "Name of the torch module whose output the activations are"),
            _text("kind", "Class of that module"),
            Column(
                name="shape",
                type=pa.list_(pa.field("element", pa.int32())),
                description="Shape of the activation of one image: (C, H, W) or (N,)",
                unit="units",
            ),
            _count("n_units", "Number of units of the layer", unit="units", minimum=1),
        ),
        primary_key=("model", "layer"),
        foreign_keys=(ForeignKey(columns=("model",), table="models"),),
    ),
    Table(
        name="builds",
        row="one network decoded from one dataset by one decoder",
        columns=(
            BUILD,
            _text("recipe", "Name of the recipe, or `import` and whose accuracies were imported"),
            _sha256(
                "recipe_sha256", "Hash of the recipe, and of the datasets and networks it names"
            ),
            DATASET,
            MODEL,
            _text("decoder", "Decoder settings, as JSON"),
            _text("units", "Which units of each layer were decoded, as JSON"),
            Column(
                name="n_folds",
                type=pa.int32(),
                description="Folds of the cross-validation over images",
                unit="folds",
                null="NULL where the dataset has a test split",
                minimum=2,
            ),
            Column(
                name="seed",
                type=pa.int64(),
                description="Seed of the recipe",
                null=_NOT_STATED,
                minimum=0,
            ),
            _text("inputs", "Content hashes of stimuli, model and responses, as JSON"),
            _text("unitdb_version", "Version of unitdb"),
            _sha256("code_sha256", "Hash of the source files of unitdb"),
            _text("packages", "Versions of Python and of the numeric packages, as JSON"),
            _text(
                "significance",
                "How p was computed, as JSON: test (t, or controls and their number n), and how "
                "subjects were combined",
                null="NULL where the design has no valid test without controls: cross-validation",
            ),
        ),
        primary_key=("build",),
        foreign_keys=(
            ForeignKey(columns=("dataset",), table="datasets"),
            ForeignKey(columns=("model",), table="models"),
        ),
    ),
    Table(
        name="inputs",
        row="a file that a build has read, or the code that it has run",
        columns=(
            BUILD,
            Column(
                name="role",
                type=NAME,
                description="What it is to the build: recipe, dataset (its dataset.yaml), "
                "stimuli, responses, model (factory, weights or activations), accuracies (of a "
                "publication), or code (the source of unitdb)",
                pattern=r"recipe|dataset|stimuli|responses|model|accuracies|code",
            ),
            _text(
                "path",
                "Path below the DataLad dataset, or else below the folder that it was asked for in",
            ),
            _text(
                "subject",
                "The subject whose accuracies alone depend on it",
                null="NULL where it is not one",
            ),
            Column(
                name="size",
                type=pa.int64(),
                description="Size",
                unit="bytes",
                null="NULL for code",
                minimum=0,
            ),
            _sha256("sha256", "Hash of the bytes; of code, builds.code_sha256"),
            _text(
                "annex_key", "Its key in git-annex", null="NULL where git-annex does not have it"
            ),
            _text(
                "datalad_id",
                "Identifier of the DataLad dataset that the file is a part of",
                null="NULL where it is in none",
            ),
            _text(
                "git_commit",
                "Last commit of that dataset that changed any of its files which the build has "
                "read, and so has this one as it was read; of code, the last commit that changed "
                "it",
                null="NULL where it is in no commit as it was read",
            ),
        ),
        primary_key=("build", "role", "path"),
        foreign_keys=(ForeignKey(columns=("build",), table="builds"),),
    ),
    Table(
        name="accuracy",
        row="a unit decoded from an ROI of a subject",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            LAYER,
            ROI,
            UNIT,
            SUBJECT,
            _unit_r(
                "r",
                "Decoding accuracy: correlation of predicted and true activation over test images",
                null=_UNDEFINED_R,
            ),
            BUILD,
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "unit", "subject"),
        foreign_keys=(
            ForeignKey(columns=("dataset", "subject", "roi"), table="subjects"),
            ForeignKey(columns=("model", "layer"), table="layers"),
            ForeignKey(columns=("build",), table="builds"),
        ),
        partition_by=("dataset", "condition", "model", "layer"),
    ),
    Table(
        name="unit_summary",
        row="a unit decoded from an ROI, over subjects",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            LAYER,
            ROI,
            UNIT,
            _count("n_subjects", "Subjects in which the unit has an accuracy", unit="subjects"),
            _unit_r("mean_r", "Mean accuracy over subjects", null=_NO_SUBJECT),
            Column(
                name="sd_r",
                type=pa.float32(),
                description="Standard deviation of the accuracy over subjects (ddof = 1)",
                unit="Pearson r",
                null="NULL where the unit has an accuracy in fewer than two subjects",
                minimum=0.0,
                maximum=2.0,
            ),
            _unit_r("min_r", "Lowest accuracy of any subject", null=_NO_SUBJECT),
            _unit_r("max_r", "Highest accuracy of any subject", null=_NO_SUBJECT),
            Column(
                name="rank",
                type=pa.int32(),
                description="Place by mean_r among the decoded units of the layer in this ROI; "
                "ties go to the lower unit, and units without an accuracy come last",
                unit="1 = best",
                minimum=1,
            ),
            Column(
                name="lead_r",
                type=pa.float32(),
                description="mean_r minus the highest mean_r of the unit in another ROI of the "
                "dataset: above 0 where this is the unit's preferred ROI",
                unit="Pearson r",
                null="NULL where the unit has an accuracy in no other ROI, or none in this one",
                minimum=-2.0,
                maximum=2.0,
            ),
            _share(
                "p",
                "One-sided p over subjects of an accuracy as high by chance",
                unit="probability",
                null=_NO_P,
                type_=pa.float32(),
            ),
            _share(
                "q",
                "Benjamini-Hochberg q of p within dataset, condition, model and ROI, over all "
                "layers of the model",
                unit="false discovery rate",
                null=_NO_P,
                type_=pa.float32(),
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "unit"),
        # The best come first, so that a search reads no further than it must.
        order=("dataset", "condition", "model", "layer", "roi", "rank"),
        foreign_keys=(
            ForeignKey(columns=("dataset", "roi"), table="rois"),
            ForeignKey(columns=("model", "layer"), table="layers"),
        ),
        partition_by=("dataset", "condition", "model", "layer"),
    ),
    Table(
        name="layer_summary",
        row="a layer decoded from an ROI of a subject, over units",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            LAYER,
            ROI,
            SUBJECT,
            _count("n_units", "Units decoded", unit="units", minimum=1),
            _count("n_undefined", "Units without an accuracy (see accuracy.r)", unit="units"),
            _r("mean_r", "Mean accuracy over units", null=_NO_UNIT),
            Column(
                name="sd_r",
                type=pa.float64(),
                description="Standard deviation of the accuracy over units (ddof = 1)",
                unit="Pearson r",
                null="NULL where fewer than two units have an accuracy",
                minimum=0.0,
                maximum=2.0,
            ),
            _r("q05_r", "5 % quantile of the accuracy over units (linear)", null=_NO_UNIT),
            _r("q25_r", "25 % quantile of the accuracy over units (linear)", null=_NO_UNIT),
            _r("median_r", "Median accuracy over units", null=_NO_UNIT),
            _r("q75_r", "75 % quantile of the accuracy over units (linear)", null=_NO_UNIT),
            _r("q95_r", "95 % quantile of the accuracy over units (linear)", null=_NO_UNIT),
            _count(
                "n_significant",
                "Units with an accuracy that is significant in this subject, at q < .05 "
                "(Benjamini-Hochberg within this row)",
                unit="units",
                null=_NO_P,
            ),
            *_interval("mean", f"mean_r, {_OF_IMAGES}", null=_NO_PATTERN),
            _r("chance_r", "Mean accuracy of the controls", null=_NO_CONTROLS),
            _count(
                "n_pattern_units",
                "Units of the patterns: a sample of the units decoded, or all where they are few",
                unit="units",
                null=_NO_PATTERN,
            ),
            _count(
                "n_candidates",
                "Patterns that each decoded one is compared with: those of all test images",
                unit="images",
                null=_NO_PATTERN,
            ),
            _r(
                "pattern_r",
                "Pattern correlation: of decoded and true activations over units, mean over test "
                "images",
                null=_NO_PATTERN,
            ),
            *_interval("pattern", f"pattern_r, {_OF_IMAGES}", null=_NO_PATTERN),
            _r(
                "pattern_chance",
                "Mean correlation of decoded patterns with those of the other test images",
                null=_NO_PATTERN,
            ),
            _share(
                "identification",
                "Pairwise identification: share of false candidates that the decoded pattern is "
                "less like than the true one, mean over test images",
                unit="share",
                null=_NO_PATTERN,
            ),
            _share(
                "identification_low",
                f"Lower end of identification, {_OF_IMAGES}",
                unit="share",
                null=_NO_PATTERN,
            ),
            _share(
                "identification_high",
                f"Upper end of identification, {_OF_IMAGES}",
                unit="share",
                null=_NO_PATTERN,
            ),
            _share(
                "identification_chance",
                "Identification by chance: that of the controls; without them .5, which holds for "
                "train/test designs",
                unit="share",
                null=f"{_NO_PATTERN}; or the images are cross-validated without controls",
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "subject"),
        foreign_keys=(
            ForeignKey(columns=("dataset", "subject", "roi"), table="subjects"),
            ForeignKey(columns=("model", "layer"), table="layers"),
        ),
    ),
    Table(
        name="accuracy_histogram",
        row="a bin of accuracies of a layer, an ROI and a subject",
        columns=(DATASET, CONDITION, MODEL, LAYER, ROI, SUBJECT, _BIN, _N_IN_BIN),
        primary_key=("dataset", "condition", "model", "layer", "roi", "subject", "bin"),
        foreign_keys=(
            ForeignKey(columns=("dataset", "subject", "roi"), table="subjects"),
            ForeignKey(columns=("model", "layer"), table="layers"),
        ),
    ),
    Table(
        name="unit_histogram",
        row="a bin of mean accuracies over subjects (unit_summary.mean_r) of a layer and an ROI",
        columns=(DATASET, CONDITION, MODEL, LAYER, ROI, _BIN, _N_IN_BIN),
        primary_key=("dataset", "condition", "model", "layer", "roi", "bin"),
        foreign_keys=(
            ForeignKey(columns=("dataset", "roi"), table="rois"),
            ForeignKey(columns=("model", "layer"), table="layers"),
        ),
    ),
    Table(
        name="intersubject",
        row="a pair of subjects whose accuracies agree or not, for a layer and an ROI",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            LAYER,
            ROI,
            _name("subject_a", "The first subject of the pair, in code-point order"),
            _name("subject_b", "The second subject of the pair"),
            _count("n_units", "Units with an accuracy in both subjects", unit="units"),
            _r(
                "pearson_r",
                "Pearson correlation over units of the two subjects' accuracies",
                null="NULL where fewer than two units are common, or all are equal in a subject",
            ),
            _r(
                "spearman_r",
                "Spearman correlation over units of the two subjects' accuracies",
                null="NULL where fewer than two units are common, or all are equal in a subject",
            ),
            _count(
                "n_blocks",
                "Channels that the common units are of",
                unit="channels",
                null="NULL where it was not counted",
            ),
            *_interval("pearson", f"pearson_r, {_OF_CHANNELS}", null=_NO_BLOCKS),
            *_interval("spearman", f"spearman_r, {_OF_CHANNELS}", null=_NO_BLOCKS),
            _r(
                "partial_r",
                "pearson_r given log variance and sparseness of the units' activations",
                null="NULL where activations are not at hand, or nothing is left to correlate",
            ),
            *_interval("partial", f"partial_r, {_OF_CHANNELS}", null=_NO_BLOCKS),
            _r(
                "chance_r",
                "Mean of pearson_r over controls, in which the images of the two subjects were "
                "shuffled independently",
                null=_NO_CONTROLS,
            ),
            _share(
                "p",
                "One-sided p of pearson_r among these controls, not below 1 / (1 + their number)",
                unit="probability",
                null=_NO_CONTROLS,
            ),
        ),
        primary_key=("dataset", "condition", "model", "layer", "roi", "subject_a", "subject_b"),
        foreign_keys=(
            ForeignKey(columns=("dataset", "roi"), table="rois"),
            ForeignKey(columns=("model", "layer"), table="layers"),
        ),
    ),
    Table(
        name="hierarchy",
        row="a brain hierarchy (BH) score of a network",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            KIND,
            METHOD,
            Column(
                name="score",
                type=pa.float64(),
                description="BH score: rank correlation over units (or voxels) of the place of the "
                "layer and of the best ROI, mean over draws of 5 layers",
                unit="Spearman r",
                null=_NO_SCORE,
                minimum=-1.0,
                maximum=1.0,
            ),
            _r("score_low", "Lower end of the 95 % interval of score", null=_NO_SCORE),
            _r("score_high", "Upper end of the 95 % interval of score", null=_NO_SCORE),
            Column(
                name="over",
                type=NAME,
                description="What the interval is about: other units (whole channels), or other "
                "units and subjects",
                pattern="units|units and subjects",
            ),
            Column(
                name="n_units",
                type=pa.int64(),
                description="Units (or voxels), those of each subject counted",
                unit="units",
                minimum=1,
            ),
            Column(
                name="n_counted",
                type=pa.int64(),
                description="Those of them with a best ROI (or layer)",
                unit="units",
                minimum=0,
            ),
            _r("chance_score", "Mean score of the controls", null=_NO_CONTROLS),
            _share(
                "p",
                "One-sided p of score among the controls, at the least 1 / (1 + their number)",
                unit="probability",
                null=_NO_CONTROLS,
            ),
            Column(
                name="rois",
                type=pa.list_(pa.field("element", pa.string())),
                description="The ROIs, from early to late",
            ),
            _count("n_stimuli", "Test images of each accuracy", unit="images", minimum=3),
        ),
        primary_key=("dataset", "condition", "model", "kind", "method"),
        foreign_keys=(
            ForeignKey(columns=("dataset",), table="datasets"),
            ForeignKey(columns=("model",), table="models"),
        ),
    ),
    Table(
        name="best_roi",
        row="the units of a layer whose best ROI it is (or the voxels of an ROI whose best layer)",
        columns=(
            DATASET,
            CONDITION,
            MODEL,
            KIND,
            METHOD,
            LAYER,
            ROI,
            Column(
                name="n_units",
                type=pa.int64(),
                description="How many, those of each subject counted",
                unit="units",
                minimum=0,
            ),
        ),
        primary_key=("dataset", "condition", "model", "kind", "method", "layer", "roi"),
        foreign_keys=(
            ForeignKey(columns=("dataset", "roi"), table="rois"),
            ForeignKey(columns=("model", "layer"), table="layers"),
        ),
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
"""All published tables by name, what is referred to before what refers to it."""


# --- the schema for readers ---------------------------------------------------------------------


def data_dictionary() -> str:
    """Markdown of all tables, columns, units, keys and meanings of NULL (``docs/schema.md``)."""
    lines = [
        "# Data dictionary",
        "",
        f"Schema {SCHEMA_VERSION}. Printed by `unitdb schema --format markdown`; do not edit.",
        "",
    ]
    for table in TABLES.values():
        lines += [f"## {table.name}", "", f"A row is {table.row}.", ""]
        if table.order == table.primary_key:
            lines += [f"Primary key, and order of the rows: {_code(table.primary_key)}.  "]
        else:
            lines += [f"Primary key: {_code(table.primary_key)}.  "]
            lines += [f"Order of the rows: {_code(table.order)}.  "]
        if table.partition_by:
            lines += [f"A folder for each: {_code(table.partition_by)}.  "]
        for key in table.foreign_keys:
            lines += [f"{_code(key.columns)} refers to `{key.table}`.  "]
        lines += ["", "| column | type | unit | meaning |", "|---|---|---|---|"]
        for column in table.columns:
            meaning = column.description + (f". {column.null}" if column.null else "")
            unit = (column.unit or "") + _range(column)
            lines += [f"| `{column.name}` | {column.logical_type} | {unit} | {meaning}. |"]
        lines += [""]
    return "\n".join(lines)


def frictionless(table: Table) -> dict[str, Any]:
    """Table Schema of the Frictionless Data standard, for ``datapackage.json``."""
    fields = []
    for column in table.columns:
        constraints: dict[str, Any] = {"required": column.null is None}
        if column.minimum is not None:
            constraints["minimum"] = column.minimum
        if column.maximum is not None:
            constraints["maximum"] = column.maximum
        if column.pattern is not None:
            constraints["pattern"] = column.pattern
        entry = {
            "name": column.name,
            "type": _frictionless_type(column.type),
            "description": column.description + (f". {column.null}" if column.null else ""),
            "constraints": constraints,
        }
        if column.unit:
            entry["unit"] = column.unit
        fields.append(entry)
    return {
        "fields": fields,
        "primaryKey": list(table.primary_key),
        "foreignKeys": [
            {
                "fields": list(key.columns),
                "reference": {"resource": key.table, "fields": list(key.columns)},
            }
            for key in table.foreign_keys
        ],
    }


def _frictionless_type(type_: pa.DataType) -> str:
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_):
        return "number"
    if pa.types.is_list(type_):
        return "array"
    return "string"


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _range(column: Column) -> str:
    if column.minimum is None:
        return ""
    low = f"{column.minimum:g}"
    limits = f"≥ {low}" if column.maximum is None else f"{low} … {column.maximum:g}"
    return f" ({limits})" if column.unit else limits

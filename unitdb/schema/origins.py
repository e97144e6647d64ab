"""Tables of what was decoded, from what, and by which build."""

from __future__ import annotations

import pyarrow as pa

from unitdb.axes import AXES_PATTERN
from unitdb.schema.columns import (
    BUILD,
    CONDITION,
    DATASET,
    LAYER,
    MODEL,
    NAME,
    NOT_STATED,
    OF_BUILD,
    OF_DATASET,
    OF_MODEL,
    OF_ROI,
    ROI,
    SUBJECT,
    TEXT,
    count,
    sha256,
    text,
)
from unitdb.schema.spec import Column, Table

TABLES = (
    Table(
        name="datasets",
        row="an fMRI dataset",
        columns=(
            DATASET,
            text("title", "Title in one line"),
            Column(
                name="simulated",
                type=pa.bool_(),
                description="True where the responses are simulated, not measured",
            ),
            text("licence", "Licence of the responses, or that none is stated"),
            text("source", "Where the responses come from: URL, DOI or program"),
            text("citation", "How to cite the dataset"),
            count("n_subjects", "Number of subjects", unit="subjects", minimum=1),
            count("n_stimuli", "Number of stimuli", unit="stimuli", minimum=1, null=NOT_STATED),
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
            text(
                "pictures",
                "Terms under which its pictures may be shown, and whose they are",
                null="NULL where it is not stated that they may",
                since="2.1",
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
            count(
                "place",
                "Place in the dataset's own order of its ROIs, from 0 (early areas first)",
                unit="index from 0",
            ),
            text("description", "What the region is"),
        ),
        primary_key=("dataset", "roi"),
        foreign_keys=(OF_DATASET,),
    ),
    Table(
        name="subjects",
        row="a region of interest of a subject of a dataset",
        columns=(
            DATASET,
            SUBJECT,
            ROI,
            count(
                "n_voxels",
                "Number of voxels of the ROI",
                unit="voxels",
                minimum=1,
                null=NOT_STATED,
            ),
            count(
                "n_train",
                "Samples used for training; in cross-validation, all samples",
                unit="samples",
                minimum=1,
                null=NOT_STATED,
            ),
            count(
                "n_test",
                "Held-out samples of all test sets together; accuracies are taken over those of "
                "each (test_sets.n_samples). An average over presentations is one",
                unit="samples",
                minimum=1,
            ),
            sha256(
                "responses_sha256",
                "Hash of the subject's responses, ROI masks and ids",
                null=NOT_STATED,
            ),
        ),
        primary_key=("dataset", "subject", "roi"),
        foreign_keys=(
            OF_DATASET,
            OF_ROI,
        ),
    ),
    Table(
        name="test_sets",
        row="a test set of a dataset: samples that decoders trained on others are tested on",
        columns=(
            DATASET,
            CONDITION,
            Column(
                name="time",
                type=pa.float64(),
                description="Time from the onset of a presentation that samples are measured at",
                unit="s",
                null="NULL where samples are of whole presentations",
                since="2.3",
            ),
            Column(
                name="level",
                type=pa.float64(),
                description="Strength of a manipulation, such as a blur, as the dataset gives it",
                unit="as the dataset gives it",
                null="NULL where there is none",
                since="2.3",
            ),
            text("prior", "What the subject knew beforehand", null="NULL where nothing is said"),
            Column(
                name="targets",
                type=NAME,
                description="What is decoded: the picture shown (pictures), the mean over the "
                "pictures of its category (categories), or another stimulus (stimuli)",
                pattern="pictures|categories|stimuli",
            ),
            text("labels", "Anything else, in words", null="NULL where nothing is said"),
            count("n_samples", "Samples of each subject", unit="samples", minimum=1),
            count(
                "n_targets",
                "Different stimuli or categories that are decoded from them; where fewer than "
                "samples, p takes controls, and nothing is given that rests on images that differ",
                unit="stimuli",
                minimum=1,
            ),
            Column(
                name="averaged",
                type=pa.bool_(),
                description="Whether a sample is the average over presentations of its stimulus",
            ),
            count(
                "n_presentations",
                "Single presentations of each sample that were decoded for reliability",
                unit="presentations",
                minimum=2,
                null="NULL where none were",
            ),
        ),
        primary_key=("dataset", "condition"),
        foreign_keys=(OF_DATASET,),
        since="2.3",
    ),
    Table(
        name="stimuli",
        row="a picture that was shown, or a category that was decoded",
        columns=(
            DATASET,
            Column(name="stimulus", type=TEXT, description="Identifier of the stimulus"),
            Column(
                name="split",
                type=NAME,
                description="Use in decoding: train, test, or cross-validation (each in turn)",
                pattern="train|test|cross-validation",
            ),
            sha256(
                "sha256",
                "Hash of the picture's shape and RGB pixels, or of its name where it is missing; "
                "of a category that of its pictures",
            ),
            text("source", "Photograph or file that the stimulus was made from"),
            text(
                "original",
                "Stimulus that it is a degraded version of, such as a blurred one",
                null="NULL where it is none, or of none of the test sets",
                since="2.5",
            ),
            Column(
                name="level",
                type=pa.float64(),
                description="How much it is degraded: test_sets.level of the sets that show it",
                unit="as the dataset gives it",
                null="NULL where none of these has a level, or they differ",
                since="2.5",
            ),
            Column(
                name="thumbnail",
                type=pa.binary(),
                description="The picture as JPEG, made small: its longer side is 96 pixels at the "
                "most",
                unit="bytes",
                null="NULL where the picture may not be shown (see datasets.pictures), or is not "
                "at hand",
                since="2.1",
            ),
        ),
        primary_key=("dataset", "stimulus"),
        foreign_keys=(OF_DATASET,),
        row_group=256,  # a page shows a few pictures
    ),
    Table(
        name="models",
        row="a network: weights and preprocessing",
        columns=(
            MODEL,
            text("title", "Title in one line"),
            sha256(
                "weights_sha256",
                "Hash of all parameters and buffers, or of the files of activations",
                null=NOT_STATED,
            ),
            sha256(
                "model_sha256",
                "Identity: hash of weights, preprocessing, factory, layers",
                null=NOT_STATED,
            ),
            text("factory", "Import path of the callable that makes the network"),
            text("preprocessing", "From picture to input tensor, as JSON"),
            text("licence", "Licence of the weights, or that none is stated"),
            text("source", "Where the weights come from"),
            text("citation", "How to cite the network"),
            text(
                "checked_on",
                "Shipped photographs that the network classified correctly, comma-separated",
                null="NULL where the network has no class outputs to check",
            ),
            count("n_layers", "Number of layers in the database", unit="layers", minimum=1),
        ),
        primary_key=("model",),
    ),
    Table(
        name="layers",
        row="a layer of a network",
        columns=(
            MODEL,
            LAYER,
            count("depth", "Place in the order of layers, from 0", unit="index from 0"),
            text("module", "Name of the torch module whose output the activations are"),
            text("kind", "Class of that module"),
            Column(
                name="shape",
                type=pa.list_(pa.field("element", pa.int32())),
                description="Shape of the activation of one image; units count in its C order",
                unit="units",
            ),
            Column(
                name="axes",
                type=TEXT,
                description="What the axes of shape are, a letter each: N units without a place; C "
                "or D the channels (features); H and W rows and columns of the map; T tokens. "
                "Blocks of units in intervals, and channels in queries, follow it",
                null="NULL where it is not known",
                pattern=AXES_PATTERN,
                since="2.2",
            ),
            count("n_units", "Number of units of the layer", unit="units", minimum=1),
            Column(
                name="classes",
                type=pa.list_(pa.field("element", pa.string())),
                description="Name of the class that each unit scores, in the order of units",
                null="NULL of layers whose units score no classes, or of which names are not known",
                since="2.6",
            ),
            *(
                Column(
                    name=f"field_{side}",
                    type=pa.list_(pa.field("element", pa.int32())),
                    description=f"{which} of the network's input that can reach the units of each "
                    f"{of} of the map: the receptive field, by the network's own sums",
                    unit="pixels from 0",
                    null="NULL of layers without a map, of releases that keep no units, of "
                    "activations in files, of networks that refuse NaN, and of accuracies that "
                    "others computed",
                    since="2.6",
                )
                for side, which, of in (
                    ("top", "First row", "row"),
                    ("bottom", "Last row", "row"),
                    ("left", "First column", "column"),
                    ("right", "Last column", "column"),
                )
            ),
        ),
        primary_key=("model", "layer"),
        foreign_keys=(OF_MODEL,),
    ),
    Table(
        name="builds",
        row="one network decoded from one dataset by one decoder",
        columns=(
            BUILD,
            text("recipe", "Name of the recipe, or `import` and whose accuracies were imported"),
            sha256(
                "recipe_sha256", "Hash of the recipe, and of the datasets and networks it names"
            ),
            DATASET,
            MODEL,
            text("decoder", "Decoder settings, as JSON"),
            text("units", "Which units of each layer were decoded, as JSON"),
            Column(
                name="n_folds",
                type=pa.int32(),
                description="Folds of the cross-validation over images",
                unit="folds",
                null="NULL where the dataset has test sets",
                minimum=2,
            ),
            Column(
                name="seed",
                type=pa.int64(),
                description="Seed of the recipe",
                null=NOT_STATED,
                minimum=0,
            ),
            text("inputs", "Content hashes of stimuli, model, responses and their specs, as JSON"),
            text("unitdb_version", "Version of unitdb"),
            sha256("code_sha256", "Hash of the source files of unitdb"),
            text("packages", "Versions of Python and of the numeric packages, as JSON"),
            text(
                "significance",
                "How p was computed, as JSON: test (t, or controls and their number n), and how "
                "subjects were combined",
                null="NULL where the design has no valid test without controls: cross-validation",
            ),
            text(
                "reliability",
                "Divisions of presentations that reliability is over, as JSON",
                null="NULL where single presentations were not decoded",
                since="2.1",
            ),
            text(
                "encoding",
                "Units of each layer that predict voxels, at the most, as JSON; the decoder is the "
                "same",
                null="NULL where voxels were not predicted",
                since="2.1",
            ),
        ),
        primary_key=("build",),
        foreign_keys=(
            OF_DATASET,
            OF_MODEL,
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
                "stimuli, responses, model (factory, weights or activations), candidates (what "
                "predictions are identified among), accuracies (of a publication), or code (the "
                "source of unitdb)",
                pattern=r"recipe|dataset|stimuli|responses|model|candidates|accuracies|code",
            ),
            text(
                "path",
                "Path below the DataLad dataset, or else below the folder that it was asked for in",
            ),
            text(
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
            sha256("sha256", "Hash of the bytes; of code, builds.code_sha256"),
            text("annex_key", "Its key in git-annex", null="NULL where git-annex does not have it"),
            text(
                "datalad_id",
                "Identifier of the DataLad dataset that the file is a part of",
                null="NULL where it is in none",
            ),
            text(
                "git_commit",
                "Last commit of that dataset that changed any of its files which the build has "
                "read, and so has this one as it was read; of code, the last commit that changed "
                "it",
                null="NULL where it is in no commit as it was read",
            ),
        ),
        primary_key=("build", "role", "path"),
        foreign_keys=(OF_BUILD,),
    ),
)

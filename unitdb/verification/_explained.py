"""What verify does about each column: computes it again, holds it against another, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from unitdb.matching import TOPS
from unitdb.schema import TABLES, tables_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Fate", "explain"]

Kind = Literal["computed", "held", "bounded", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What verify does about a column.

    Parameters
    ----------
    table, column : str
        The column.
    kind : {'computed', 'held', 'bounded', 'unknown'}
        Computed again from other columns; held against another place that says the same; only
        kept within limits; or, with ``unknown``, not checked beyond its type and range.
    how : str
        From what, against what, or why not.
    """

    table: str
    column: str
    kind: Kind
    how: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}: {self.kind}: {self.how}"


_KEYS: tuple[Kind, str] = ("held", "keys: sorted, unique, complete, and known to other tables")
_MEASURE: tuple[Kind, str] = ("held", "by the measure that makes it (unitdb/measures)")
_PROV: tuple[Kind, str] = ("held", "against croissant.json")
_SETS: tuple[Kind, str] = ("held", "against a hash in builds.inputs")
_IDENTITY: tuple[Kind, str] = ("held", "the name of the build is a hash of it; recipe.yaml")
_R: tuple[Kind, str] = ("computed", "from accuracy.r")
_BOOTSTRAP: tuple[Kind, str] = ("computed", "from accuracy.r, the bootstrap done again")
_IMAGES: tuple[Kind, str] = (
    "unknown",
    "is over predictions of a sample of units; computed where a release holds all of these",
)
_ACTIVATIONS: tuple[Kind, str] = (
    "held",
    "value against the ends of its interval, where it has one: most activations are not kept",
)
_FEATURES: tuple[Kind, str] = (
    "unknown",
    "is over features of units that are no part of a release; held against the means of it",
)
_GAINS: tuple[Kind, str] = ("computed", "from table modulation")
_UNSAID: tuple[Kind, str] = ("unknown", "nothing else says it")
_CONTROLS: tuple[Kind, str] = ("unknown", "accuracies of the controls are no part of a release")
_COUNTED: tuple[Kind, str] = (
    "bounded",
    "a share of the controls, whose accuracies are no part of a release",
)

_TIMES: tuple[Kind, str] = (
    "unknown",
    "predictions of single times are no part of a release",
)
_PUBLISHED = "from predicted, candidate_features and candidate_units, where these are published"
_OF_TARGETS: tuple[Kind, str] = (
    "computed",
    f"{_PUBLISHED}; with what was shown where that is a target itself; else unknown",
)
_AGAIN: tuple[Kind, str] = ("computed", f"{_PUBLISHED}; else held against the other columns")
_OF_ROWS: tuple[Kind, str] = ("computed", "from the rows of identification")
_IF_PUBLISHED: tuple[Kind, str] = ("computed", f"{_PUBLISHED}; else unknown")
_OWN_RATES = (
    *("n_predictions", "n_images", "n_units", "rate", "rate_untrained", "n_untrained", "top1"),
    *("top5", "top10", "top50", "chance_top1", "median_rank", "rate_within", "rate_between"),
    "chance_category",
)
_OWN_CHANCE = tuple(
    f"exchange_{of}" for of in ("untrained", "within", "between", *(f"top{k}" for k in TOPS))
)

_FATES: dict[str, dict[str, tuple[Kind, str]]] = {
    "datasets": {
        **dict.fromkeys(("title", "licence", "source", "citation", "pictures"), _PROV),
        **dict.fromkeys(("voxel_selection", "zscore"), _PROV),
        "simulated": ("held", "against datapackage.json, releases.json and all metadata"),
        "n_subjects": ("computed", "from table subjects"),
        "n_stimuli": ("computed", "from table stimuli"),
    },
    "rois": {"place": _PROV, "description": _PROV},
    "subjects": {
        "n_voxels": ("held", "against croissant.json, and table encoding where there is one"),
        "n_train": _PROV,
        "n_test": ("held", "against croissant.json, and test_sets.n_samples"),
        "responses_sha256": ("held", "against builds.inputs"),
    },
    "test_sets": {
        **dict.fromkeys(("time", "level", "prior", "targets", "labels", "averaged"), _SETS),
        "n_samples": ("held", "against subjects.n_test, p, and table prediction"),
        "n_targets": _SETS,
        "n_presentations": _SETS,
    },
    "stimuli": {
        **dict.fromkeys(("split", "sha256", "source"), ("held", "against a hash in builds.inputs")),
        "original": ("unknown", "samples and their targets are in a release where predictions are"),
        "level": ("unknown", "which set shows a picture is known where predictions are published"),
        "thumbnail": ("unknown", "the picture that it was made from is no part of a release"),
    },
    "models": {
        **dict.fromkeys(
            ("title", "weights_sha256", "factory", "preprocessing", "licence", "source"), _PROV
        ),
        **dict.fromkeys(("citation", "checked_on"), _PROV),
        "model_sha256": ("held", "against builds.inputs"),
        "n_layers": ("computed", "from table layers"),
    },
    "layers": {
        **dict.fromkeys(("depth", "module", "kind", "shape", "axes"), _PROV),
        **dict.fromkeys(
            ("field_top", "field_bottom", "field_left", "field_right"),
            ("bounded", "by the size of the map and of the network's input, in order"),
        ),
        "n_units": ("computed", "from shape"),
        "classes": (
            "bounded",
            "as many names as units; what they are is not",
        ),
    },
    "builds": {
        **dict.fromkeys(
            ("dataset", "model", "decoder", "units", "n_folds", "seed", "inputs"), _IDENTITY
        ),
        **dict.fromkeys(("packages", "significance", "reliability", "encoding"), _IDENTITY),
        "code_sha256": ("held", "the name of the build is a hash of it; table inputs"),
        "recipe": ("held", "against recipe.yaml and croissant.json"),
        "recipe_sha256": ("held", "against datapackage.json"),
        "unitdb_version": _PROV,
    },
    "inputs": dict.fromkeys(
        ("subject", "size", "sha256", "annex_key", "datalad_id", "git_commit"), _PROV
    ),
    "accuracy": {
        "r": ("held", "against all summaries of it; whether it is right, a rebuild tells"),
        "build": ("held", "one build for each partition, of its dataset and model"),
        "reliability": ("held", "against layer_summary.mean_reliability"),
    },
    "unit_summary": {
        **dict.fromkeys(("n_subjects", "mean_r", "sd_r", "min_r", "max_r", "rank", "lead_r"), _R),
        "p": ("computed", "from accuracy.r where a formula gives it; else held against q"),
        "q": ("computed", "from p"),
    },
    "layer_summary": {
        **dict.fromkeys(
            ("n_units", "n_undefined", "mean_r", "sd_r", "q05_r", "q25_r", "median_r"), _R
        ),
        **dict.fromkeys(("q75_r", "q95_r"), _R),
        "n_significant": ("computed", "from accuracy.r where a formula gives it; else bounded"),
        **dict.fromkeys(("mean_low", "mean_high", "pattern_r", "pattern_low"), _IMAGES),
        **dict.fromkeys(("pattern_high", "pattern_chance"), _IMAGES),
        "identification": ("bounded", "a share of the comparisons of n_candidates images"),
        **dict.fromkeys(("identification_low", "identification_high"), _IMAGES),
        "identification_chance": ("held", ".5 without controls; else a share of comparisons"),
        "n_pattern_units": ("bounded", "by n_units and the sample that builds take"),
        "n_candidates": ("held", "against test_sets.n_samples"),
        "chance_r": _CONTROLS,
        "mean_reliability": ("computed", "from accuracy.reliability"),
    },
    "layer_reliability": {
        **dict.fromkeys(("n_subjects", "n_units", "reliability"), _R),
        **dict.fromkeys(("reliability_low", "reliability_high"), _BOOTSTRAP),
    },
    "accuracy_histogram": {"n_units": _R},
    "unit_histogram": {"n_units": _R},
    "summary_histogram": dict.fromkeys(
        ("n_units", "n_complete", "n_preferred", "n_complete_preferred"), _R
    ),
    "intersubject": {
        **dict.fromkeys(("n_units", "pearson_r", "spearman_r"), _R),
        **dict.fromkeys(
            ("n_blocks", "pearson_low", "pearson_high", "spearman_low", "spearman_high"),
            _BOOTSTRAP,
        ),
        **dict.fromkeys(("partial_r", "partial_low", "partial_high"), _ACTIVATIONS),
        "prediction_r": ("held", "against unit_summary.p, where a formula gives that"),
        "chance_r": _CONTROLS,
        "p": _COUNTED,
    },
    "recurrence": {
        **dict.fromkeys(("n_units", "k", "n_expected"), _R),
        "n_shared": ("computed", "from accuracy.r; of halves of presentations bounded by k"),
        "n_chance": _COUNTED,
        "p": _COUNTED,
    },
    "encoding": {
        "r": ("bounded", "which layer is best for a voxel must be as best_roi and hierarchy say"),
    },
    "hierarchy": {
        "score": ("computed", "from best_roi, or from accuracy.r and encoding.r"),
        **dict.fromkeys(("score_low", "score_high"), _BOOTSTRAP),
        **dict.fromkeys(("over", "n_units", "n_counted"), _R),
        "chance_score": _CONTROLS,
        "p": _COUNTED,
        "rois": ("held", "against best_roi"),
        "n_stimuli": ("held", "against test_sets.n_targets"),
    },
    "best_roi": {"n_units": ("computed", "from accuracy.r and encoding.r")},
    "activation": {
        "activation": (
            "held",
            "with predictions it must give accuracy.r; not of images not tested, or units without",
        )
    },
    "prediction": {
        "predicted": (
            "held",
            "with activations it must give accuracy.r, which stays when a unit's are scaled",
        ),
        "target": (
            "held",
            "against accuracy.r, which predictions and the activations of the targets give",
        ),
        "presentation": ("computed", "from the rows of its stimulus"),
    },
    "timecourse": {
        **dict.fromkeys(
            ("mean_r", "matched_r", "shuffled_r", "without"), ("held", "lags follow from it")
        ),
        "stimuli": ("held", "against without: as many; adjusted orders are paired by them"),
        **dict.fromkeys(
            ("r_low", "r_high"),
            ("computed", "from without and mean_r; NULL only where without is"),
        ),
        **dict.fromkeys(("n_samples", "n_stimuli", "n_units", "p", "pattern_r"), _TIMES),
        **dict.fromkeys(("pattern_low", "pattern_high", "pattern_chance", "chance"), _TIMES),
        **dict.fromkeys(("identification", "identification_low", "identification_high"), _TIMES),
    },
    "modulation": {
        **dict.fromkeys(("level", "prior"), ("held", "against test_sets")),
        **dict.fromkeys(("r_stimulus", "r_original"), _OF_TARGETS),
        **dict.fromkeys(("noise_r_stimulus", "noise_r_original"), _FEATURES),
        **dict.fromkeys(("null_r_stimulus", "null_r_original"), _FEATURES),
        **dict.fromkeys(("noise_snr", "null_snr"), _UNSAID),
        **dict.fromkeys(("noise_gain", "null_gain"), ("computed", "from the correlations beside")),
        "certain": ("unknown", "what subjects said is no part of a release"),
    },
    "modulation_simulated": dict.fromkeys(
        ("r_original", "noise_gain", "null_gain"),
        ("unknown", "brains are not simulated again; bias is computed from it"),
    ),
    "modulation_summary": {
        **dict.fromkeys(("level", "prior"), ("held", "against table modulation")),
        **dict.fromkeys(
            ("bias", "bias_se"), ("computed", "from tables modulation and modulation_simulated")
        ),
        **dict.fromkeys(
            ("n_subjects", "n_images", "r_stimulus", "r_original", "gain", "prior_effect"), _GAINS
        ),
        **dict.fromkeys(("control_r_stimulus", "control_r_original"), _GAINS),
        **dict.fromkeys(
            ("gain_low", "gain_high", "prior_low", "prior_high"),
            ("computed", "from table modulation, the bootstrap done again"),
        ),
        "excess": ("computed", "from gain and bias"),
        **dict.fromkeys(
            ("excess_low", "excess_high", "p", "sign_p"),
            ("computed", "from table modulation and bias, the bootstrap done again"),
        ),
        "q": ("computed", "from p"),
        **dict.fromkeys(("prior_p", "prior_sign_p"), _GAINS),
        "prior_q": ("computed", "from prior_p"),
    },
    "reconstruction_method": {
        **dict.fromkeys(("kind", "rois", "layers", "unit_choice", "units_from"), _UNSAID),
        **dict.fromkeys(("settings", "judge", "judge_sha256", "judge_layers", "n_units"), _UNSAID),
        **dict.fromkeys(("width", "height"), _UNSAID),
        "scored_at": ("held", "scores of pictures at that size, where the seen ones are shown"),
        **dict.fromkeys(("n_candidates", "n_training"), ("held", "against chance of top1")),
        "recovery_identification": ("computed", "from reconstruction_value"),
        "invertible": ("computed", "from recovery_identification"),
    },
    "reconstruction": {
        "kind": _UNSAID,
        "png": ("held", "its scores are computed from it, where the seen pictures are shown"),
        **dict.fromkeys(("width", "height"), ("computed", "from png, where there is one")),
        "loss": _UNSAID,
    },
    "reconstruction_value": {
        "value": (
            "computed",
            "some from png where seen pictures are shown; else from reconstruction_score",
        ),
    },
    "reconstruction_score": dict.fromkeys(
        (
            *("kind", "value", "low", "high", "chance", "control_mean", "p", "category_chance"),
            *("over_ridge", "over_ridge_low", "over_ridge_high", "n_images", "n_controls"),
        ),
        ("computed", "from reconstruction_value and reconstruction_method"),
    ),
    "candidate_sets": {
        **dict.fromkeys(("n_candidates", "n_targets", "n_trained"), ("held", "against candidates")),
        **dict.fromkeys(("kind", "targets", "source", "description"), _UNSAID),
        "sha256": ("held", "against a hash in builds.inputs"),
        "features_sha256": (
            "computed",
            "from candidate_features and candidate_units, where these are published; else unknown",
        ),
    },
    "candidates": {
        "label": _UNSAID,
        "role": ("held", "against candidate_sets; the numbers that it counts"),
        "category": ("held", "by the numbers that it counts, where these are computed"),
        "n_pictures": _UNSAID,
    },
    "identification": {
        **{
            f"n_{what}{of}": _AGAIN
            for what in ("false", "below", "equal")
            for of in ("", "_trained", "_within", "_between")
        },
        **dict.fromkeys(("target_r", "best", "best_r"), _AGAIN),
        "chance_exchange": _IF_PUBLISHED,
        "fold": ("held", "with candidate_training it must give n_false_trained"),
        "n_units": ("held", "against identification_summary"),
    },
    "identification_summary": {
        **dict.fromkeys(_OWN_RATES, _OF_ROWS),
        **dict.fromkeys(("rate_low", "rate_high", "specific_low", "specific_high"), _IF_PUBLISHED),
        **dict.fromkeys(("chance_exchange", "chance_fold", "p", *_OWN_CHANCE), _IF_PUBLISHED),
        "specific": ("computed", "from rate and chance_fold"),
        "n_candidates": ("computed", "from candidates"),
        "q": ("computed", "from p"),
    },
    "identification_exchange": {
        "chance": ("computed", f"{_PUBLISHED}; else 2 candidates held against the summary"),
    },
    "candidate_training": dict.fromkeys(
        ("subject", "fold", "candidate"), ("held", "it must give n_false_trained of identification")
    ),
    "candidate_units": dict.fromkeys(
        ("mean", "sd"), ("held", "with candidate_features they must give identification")
    ),
    "candidate_features": {
        "features": ("held", "against candidate_sets.features_sha256"),
    },
    "samples": {
        "stimulus": ("held", "with presentation, against table prediction"),
        "presentation": ("held", "with stimulus, against table prediction"),
        "target": ("unknown", "against table prediction, where that keeps units"),
    },
    "predicted": {
        "predicted": ("held", "of the units kept, against table prediction; of others its length"),
    },
}


def explain(schema: str) -> list[Fate]:
    """Say for each column of a release what verify does about it.

    Parameters
    ----------
    schema : str
        Schema of the release, MAJOR.MINOR.
    """
    return list(_fates(schema))


def _fates(schema: str) -> Iterator[Fate]:
    for name in tables_of(schema, optional=True):
        table = TABLES[name].at(schema)
        for column in table.column_names:
            rest = _MEASURE if table.measured and column not in table.keys else _KEYS
            kind, how = _FATES.get(name, {}).get(column) or rest
            yield Fate(table=name, column=column, kind=kind, how=how)

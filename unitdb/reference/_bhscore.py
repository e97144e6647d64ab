"""Brain hierarchy scores of 29 networks, as published, and what goes with them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, get_args

from unitdb.errors import QueryError, UnknownColumnError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CITATION",
    "Placement",
    "Score",
    "bhscore",
    "bhscore_correlations",
    "bhscore_layers",
    "bhscore_properties",
    "place",
]

Score = Literal["bh_average", "bh_decoding", "bh_encoding"]

CITATION = (
    "Nonaka, Majima, Aoki & Kamitani (2021). Brain hierarchy score: Which deep neural networks are "
    "hierarchically brain-like? iScience 24, 103013. doi:10.1016/j.isci.2021.103013. Scores as "
    "printed by calc_bhscore.ipynb of github.com/KamitaniLab/BHscore"
)

_PROPERTIES = ("top1", "n_layers", "depth", "fully_connected", "skip_connections")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a score stands among the published ones.

    Parameters
    ----------
    score : float
    by : {"bh_average", "bh_decoding", "bh_encoding"}
        The published scores that it is compared with.
    rank : int
        1 + how many published networks have a higher one.
    n : int
        Published networks.
    above, below : tuple of (str, float), optional
        The nearest higher (or equal) and the nearest lower one; None at the ends.
    """

    score: float
    by: Score
    rank: int
    n: int
    above: tuple[str, float] | None
    below: tuple[str, float] | None

    @property
    def place(self) -> str:
        """The rank in words: one more than there are is below all of them."""
        return f"place {self.rank} beside {self.n} published networks"

    def __str__(self) -> str:
        parts = [f"{self.by} {self.score:.3f} has {self.place}"]
        parts += [
            f"{side} {one[0]} ({one[1]:.3f})"
            for side, one in (("below", self.above), ("above", self.below))
            if one is not None
        ]
        return ", ".join(parts)


def bhscore() -> pd.DataFrame:
    """Brain hierarchy scores of 29 pretrained networks, the highest average first.

    Decoding-based scores are means over 100 random draws of layers, which were not seeded: earlier
    runs in the history of the authors' notebook differ by up to .01.

    Returns
    -------
    pandas.DataFrame
        ``rank``, ``dnn``, ``bh_decoding``, ``bh_encoding``, ``bh_average``; ``top1``, ImageNet
        accuracy in per cent; ``n_layers``, layers that entered the score; ``depth``, layers with
        weights; ``fully_connected``, how many of those are; ``skip_connections``, 1 where
        activations are added to or joined with those of an earlier layer. Missing where the source
        of the architecture does not state it (:func:`bhscore_properties`). The citation stands in
        ``attrs``.

    Examples
    --------
    >>> from unitdb import reference
    >>> reference.bhscore().loc[0, ["dnn", "bh_decoding"]].tolist()
    ['VGG-S', np.float64(0.5367787736852041)]
    """
    found = _read("bhscore.csv").sort_values("bh_average", ascending=False, ignore_index=True)
    found.insert(0, "rank", found.index + 1)
    properties = bhscore_properties().pivot_table(index="dnn", columns="property", values="value")
    properties["n_layers"] = bhscore_layers().groupby("dnn").size()
    found = found.join(properties[list(_PROPERTIES)], on="dnn")
    whole = dict.fromkeys(_PROPERTIES[1:], "Int64")
    return _cited(found.astype(whole))


def bhscore_layers() -> pd.DataFrame:
    """Layers of each network that entered its score, in their order.

    Returns
    -------
    pandas.DataFrame
        ``dnn``; ``directory``, where the published archive has it; ``layer_index``; ``layer``.

    Examples
    --------
    >>> from unitdb import reference
    >>> reference.bhscore_layers().columns.tolist()
    ['dnn', 'directory', 'layer_index', 'layer']
    """
    return _cited(_read("bhscore_layers.csv"))


def bhscore_properties() -> pd.DataFrame:
    """Properties of the networks, each with its source; what no source states is not there.

    Returns
    -------
    pandas.DataFrame
        ``dnn``; ``property``, as a column of :func:`bhscore`; ``value``; ``source``.

    Examples
    --------
    >>> from unitdb import reference
    >>> reference.bhscore_properties().columns.tolist()
    ['dnn', 'property', 'value', 'source']
    """
    return _cited(_read("bhscore_properties.csv"))


def bhscore_correlations() -> pd.DataFrame:
    """How published scores go with properties of the networks: Spearman correlations.

    Over the networks of which the property is known. They are no random sample: families share
    both architecture and score, so that no p is given.

    Returns
    -------
    pandas.DataFrame
        ``property``, ``score``, ``spearman``, ``n`` (networks).

    Examples
    --------
    >>> from unitdb import reference
    >>> reference.bhscore_correlations().columns.tolist()
    ['property', 'score', 'spearman', 'n']
    """
    import pandas as pd

    scores = bhscore()
    rows = []
    for name in _PROPERTIES:
        known = scores.dropna(subset=name)
        ranks = known[name].astype(float).rank()
        rows += [(name, by, ranks.corr(known[by].rank()), len(known)) for by in get_args(Score)]
    return _cited(pd.DataFrame(rows, columns=["property", "score", "spearman", "n"]))


def place(score: float, *, by: Score = "bh_average") -> Placement:
    """Place a new network's score among the published ones.

    Compare like with like: the same kind of score, ``method="nonaka2021"``, and regions V1, V2, V3,
    V4, HVC. Scores depend on how many regions there are, and which.

    Parameters
    ----------
    score : float
        From -1 to 1.
    by : {"bh_average", "bh_decoding", "bh_encoding"}

    Returns
    -------
    Placement
        Rank, and the networks next above and below.

    Raises
    ------
    UnknownColumnError
        Another kind of score.
    QueryError
        A score that is no correlation.

    Examples
    --------
    >>> unitdb.reference.place(0.31).rank
    12
    """
    if by not in get_args(Score):
        raise UnknownColumnError(by, get_args(Score), where="the published BH scores")
    if not -1 <= score <= 1:
        raise QueryError(f"BH score {score:g} is no correlation: outside [-1, 1]")
    ordered = bhscore().sort_values(by, ascending=False)
    known = [
        (str(name), float(value)) for name, value in zip(ordered["dnn"], ordered[by], strict=True)
    ]
    higher = sum(value > score for _, value in known)
    reached = sum(value >= score for _, value in known)
    return Placement(
        score=score,
        by=by,
        rank=1 + higher,
        n=len(known),
        above=known[reached - 1] if reached else None,
        below=known[reached] if reached < len(known) else None,
    )


def _read(name: str) -> pd.DataFrame:
    import pandas as pd

    with (files("unitdb.reference") / name).open(encoding="utf-8") as file:
        return pd.read_csv(file)


def _cited(table: pd.DataFrame) -> pd.DataFrame:
    table.attrs["citation"] = CITATION
    return table

"""How brain-like a network is as a whole: what a release says of it, in one place."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from unitdb.errors import QueryError
from unitdb.reference import Placement, place
from unitdb.release.channels import shrunken
from unitdb.release.layerwise import only
from unitdb.release.notebook import SIMULATED, score_html

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release.opened import Release

__all__ = ["Score", "score_of"]

_CHANNELS = 10
_REGIONS = ["V1", "V2", "V3", "V4", "HVC"]
_COLUMNS = ["kind", "method", "score", "score_low", "score_high", "over"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Score:
    """A network's score, and the figures beside it; all of them are read from a release.

    Parameters
    ----------
    release : Release
        The release behind it.
    dataset, condition, network : str
        Whose figures they are, by their names in the release.

    Examples
    --------
    >>> from unitdb.release import score_of
    >>> found = score_of(release, dataset="sim-a", condition="perception", model="net")
    >>> found.words()[0]
    'BH score 0.052 (decoding-based, corrected)'
    """

    release: Release
    dataset: str
    condition: str
    network: str

    @property
    def simulated(self) -> bool:
        """Whether the responses are simulated: then nothing follows of brains."""
        return self.release.simulated

    @cached_property
    def bh(self) -> pd.DataFrame:
        """BH scores with their 95 % intervals.

        ``kind`` (decoding, encoding, average), ``method``, ``score``, ``score_low``,
        ``score_high``, ``over``. Without rows where fewer than two ROIs or layers were decoded.
        """
        rows = self._of("hierarchy")
        return rows[_COLUMNS].astype({"kind": str, "method": str, "over": str})

    @cached_property
    def _main(self) -> tuple[float, float, float]:
        rows = self.bh[(self.bh["kind"] == "decoding") & (self.bh["method"] == "corrected")]
        if rows.empty:
            return (float("nan"),) * 3
        value, low, high = rows[["score", "score_low", "score_high"]].to_numpy(float)[0]
        return float(value), float(low), float(high)

    @property
    def value(self) -> float:
        """Decoding-based BH score, method ``corrected``; NaN where there is none."""
        return self._main[0]

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval; NaN where there is none."""
        return self._main[1:]

    @cached_property
    def placement(self) -> Placement | None:
        """Place of the score among the published 29; None where there is none.

        Like is compared with like, as far as it goes: method ``nonaka2021``, the average where
        encoding was asked for, else the decoding-based score. :attr:`caveat` says what differs.
        """
        rows = self.bh[self.bh["method"] == "nonaka2021"].dropna(subset="score")
        of_kind = dict(zip(rows["kind"], rows["score"], strict=True))
        if "average" in of_kind:
            return place(float(of_kind["average"]), by="bh_average")
        if "decoding" in of_kind:
            return place(float(of_kind["decoding"]), by="bh_decoding")
        return None

    @property
    def caveat(self) -> str:
        """What keeps the place from being one among the published networks."""
        rois = self._rois()
        other = [
            *(["responses are simulated"] if self.simulated else []),
            f"other data ({self.dataset}; published: other people, who viewed other pictures)",
        ]
        if rois != _REGIONS:
            other.append(
                f"other regions ({len(rois)}: {', '.join(rois)}; published: {len(_REGIONS)}, "
                f"{', '.join(_REGIONS)}), and scores depend on how many there are"
            )
        return "The rank says little where data differ: " + "; ".join(other) + "."

    @cached_property
    def matrix(self) -> pd.DataFrame:
        """Mean accuracy, layers × ROIs (:meth:`Release.layer_by_roi`)."""
        return self.release.layer_by_roi("accuracy", **self._where)

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """Correlation of people's accuracies over units, mean over pairs, layers × ROIs."""
        return self.release.layer_by_roi("agreement", **self._where)

    @cached_property
    def best_layers(self) -> pd.DataFrame:
        """Of each ROI the layer that is decoded best.

        ``layer``, ``mean_r`` over units, then subjects; ``n_subjects`` in whom it is the best one
        too; ``of_subjects``.
        """
        import pandas as pd

        rows = self._of("layer_summary").astype({"layer": str, "roi": str, "subject": str})
        rows = rows.dropna(subset="mean_r")
        found = []
        for roi in self._rois():
            of = rows[rows["roi"] == roi]
            if of.empty:
                continue
            means = of.groupby("layer")["mean_r"].mean()
            best = str(means.idxmax())
            of_each = of.loc[of.groupby("subject")["mean_r"].idxmax()]
            found.append(
                {
                    "roi": roi,
                    "layer": best,
                    "mean_r": float(means[best]),
                    "n_subjects": int((of_each["layer"] == best).sum()),
                    "of_subjects": len(of_each),
                }
            )
        columns = ["layer", "mean_r", "n_subjects", "of_subjects"]
        return pd.DataFrame(found, columns=["roi", *columns]).set_index("roi")

    @cached_property
    def channels(self) -> pd.DataFrame:
        """The ten channels of maps (of tokens: features) with the highest accuracy in an ROI.

        ``layer``, ``channel``, ``roi``, ``n_units`` decoded of it, ``mean_r`` over units, then
        subjects, and ``shrunk_r``, by which they are ordered: that mean drawn towards the mean of
        all channels of the layer, the more the fewer units it is of
        (:func:`unitdb.release.channels.shrunken`). They are the best of many: others would be less
        good in new data. None where it is not known which axis counts channels, or no two units of
        a channel are decoded.
        """
        found = None
        with suppress(QueryError):
            units = self.release.units(
                dataset=self.dataset, condition=self.condition, model=self.network
            )
            found = units.by_channel()
        columns = ["layer", "channel", "roi", "n_units", "mean_r", "shrunk_r"]
        if found is None:
            import pandas as pd

            return pd.DataFrame(columns=columns)
        whole = {
            layer.layer: layer.n_units // layer.channel.size
            for layer in self.release.layers
            if layer.model == self.network and len(layer.shape) > 1
        }
        best = shrunken(found, whole).sort_values(
            ["shrunk_r", "layer", "channel"], ascending=[False, True, True]
        )
        shown: pd.DataFrame = best[columns].head(_CHANNELS).reset_index(drop=True)
        return shown

    def __str__(self) -> str:
        parts = [
            *([SIMULATED, ""] if self.simulated else []),
            f"{self.network}, decoded from {self.dataset} ({self.condition})",
            "",
            *self.words(),
            "",
            "Mean decoding accuracy (Pearson r, over units, then subjects)",
            _text(self.matrix),
            "",
            "Best layer of each ROI, and in how many people it is the best one",
            _text(self.best_layers),
            "",
            "Agreement of people (Pearson r of their accuracies over units, mean over pairs)",
            _text(self.agreement),
            "",
            "Most brain-like channels",
            _text(self.channels),
            "",
            f"Release: unitdb.open({self.release.location!r})",
        ]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        return score_html(self)

    def words(self) -> list[str]:
        """The score and its place, in lines.

        Returns
        -------
        list of str
            Lines of text.
        """
        if self.value != self.value:
            return ["BH score: none; it takes two ROIs, two layers, and units with a best ROI."]
        low, high = self.interval
        place = "Beside the published: none; by their method no unit has a best ROI."
        if self.placement is not None:
            place = f"Beside the published: {self.placement}. {self.caveat}"
        interval = f"95 % {low:.3f} to {high:.3f}; " if low == low else ""
        return [f"BH score {self.value:.3f} ({interval}decoding-based, corrected)", place]

    @property
    def _where(self) -> dict[str, str]:
        return {"dataset": self.dataset, "condition": self.condition, "model": self.network}

    def _of(self, table: str) -> pd.DataFrame:
        rows = self.release.table(table)
        for column, name in self._where.items():
            rows = rows[rows[column] == name]
        return rows

    def _rois(self) -> list[str]:
        rois = self.release.table("rois")
        rows = rois[rois["dataset"] == self.dataset].sort_values("place")
        return rows["roi"].astype(str).tolist()


def score_of(
    release: Release,
    *,
    dataset: str | None = None,
    condition: str | None = None,
    model: str | None = None,
) -> Score:
    """Gather what a release says of a network as a whole.

    Parameters
    ----------
    release : Release
    dataset, condition, model : str, optional
        Which, where the release has several.

    Raises
    ------
    QueryError
        The release has several of one of them, and none is named.
    UnknownNameError
        No such name; gives the nearest.
    """
    source = release._source
    return Score(
        release=release,
        dataset=only(source, "dataset", dataset),
        condition=only(source, "condition", condition),
        network=only(source, "model", model),
    )


def _text(table: pd.DataFrame) -> str:
    if table.empty:
        return "none"
    shown = table.reset_index() if table.index.name else table
    return shown.to_string(index=False, float_format="{:.3f}".format, na_rep="")

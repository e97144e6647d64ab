"""A release image by image: activations, predictions and pictures of the units that it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.errors import NotKeptError
from unitdb.query.layers import parse_unit
from unitdb.query.selection import positive
from unitdb.query.source import check_names
from unitdb.release import kept as _kept
from unitdb.release.layerwise import only
from unitdb.release.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from unitdb.matching import Method
    from unitdb.query import UnitSet
    from unitdb.release.identifying import Features, Identified
    from unitdb.release.pictured import Reconstructions

__all__ = ["Images"]


class Images(Tables):
    """Units whose activations and predictions a release keeps image by image.

    Parameters
    ----------
    path : str or Path
        Its folder, or its http or https address.

    Raises
    ------
    CorruptReleaseError, SchemaVersionError
        As of :class:`.Tables`.
    """

    def kept(
        self, layer: str, *, predictions: bool = True, dataset: str | None = None
    ) -> list[str]:
        """Units of a layer whose activations and predictions are kept image by image.

        Parameters
        ----------
        layer : str
            ``model/layer``.
        predictions : bool
            False: also the units of which activations alone are kept, such as the best of each
            channel.
        dataset : str, optional
            Which, where the release has several.

        Returns
        -------
        list of str
            ``model/layer/unit``; empty where none is kept, as in releases of schema 2.0 and of
            accuracies that others published.

        Raises
        ------
        UnknownDatasetError, UnknownLayerError
            No such name; gives the nearest.
        QueryError
            The release has several datasets, and none is named.

        Examples
        --------
        >>> release.kept("net/fc", dataset="sim-a")
        ['net/fc/3']
        """
        name = only(self._source, "dataset", dataset)
        model, layer, _ = parse_unit(f"{layer}/0", self.layers, where=f"release {self.label}")
        if _kept.NEEDS not in self.tables:
            return []
        return _kept.kept_units(self.sql, name, (model, layer), predictions=predictions)

    def predictions(
        self,
        unit: str,
        *,
        roi: str | None = None,
        subject: str | None = None,
        dataset: str | None = None,
        condition: str | None = None,
    ) -> pd.DataFrame:
        """Predicted and true activation of a unit, for each sample of a test set.

        The true one is that of what is decoded from the sample: the picture shown, its category, or
        another stimulus. Their correlation over the samples of an ROI and subject is
        the unit's accuracy there.

        Parameters
        ----------
        unit : str
            ``model/layer/unit``.
        roi, subject : str, optional
            Which; all by default.
        dataset, condition : str, optional
            Which, where the release has several.

        Returns
        -------
        pandas.DataFrame
            ``roi``, ``subject``, ``stimulus``, ``activation`` and ``predicted``, raw; by ROI,
            subject and stimulus.

        Raises
        ------
        NotKeptError
            The unit is not among those kept; says which are, and what in the recipe keeps it.
        UnknownDatasetError, UnknownConditionError, UnknownLayerError, UnknownRoiError, \
UnknownSubjectError
            No such name; gives the nearest.
        QueryError
            The unit is not written so, or the release has several datasets or conditions, and none
            is named.

        Examples
        --------
        >>> found = release.predictions("net/fc/3", dataset="sim-a", roi="V1")
        >>> found.columns.tolist()
        ['roi', 'subject', 'stimulus', 'activation', 'predicted']
        """
        names = (only(self._source, "dataset", dataset), only(self._source, "condition", condition))
        for column, name in (("roi", roi), ("subject", subject)):
            if name is not None:
                check_names(self._source, column, name)
        place = self._kept_unit(unit, names[0], predictions=True)
        has_targets = "test_sets" in self.tables
        return _kept.predictions(
            self.sql, names, place, roi=roi, subject=subject, has_targets=has_targets
        )

    def predicted(
        self,
        layer: str,
        roi: str,
        subject: str,
        *,
        dataset: str | None = None,
        condition: str | None = None,
    ) -> pd.DataFrame:
        """Published predictions of a layer from an ROI of a subject, sample by sample.

        Parameters
        ----------
        layer : str
            ``model/layer``.
        roi, subject : str
            Region and person.
        dataset, condition : str, optional
            Which, where the release has several.

        Returns
        -------
        pandas.DataFrame of shape (n_samples, n_units)
            Raw activations in float32. Rows are the held-out samples of the test set, by
            ``stimulus`` and ``presentation``; columns the units that are published, by their flat
            C-order index. What is decoded from a sample, where it is not the stimulus shown, says
            table ``samples``.

        Raises
        ------
        NotKeptError
            The release publishes no predictions; says what in the recipe would.
        UnknownDatasetError, UnknownConditionError, UnknownLayerError, UnknownRoiError, \
UnknownSubjectError
            No such name; gives the nearest.
        QueryError
            The release has several datasets or conditions, and none is named; or the ROI or subject
            is of another dataset.

        Examples
        --------
        >>> release.predicted("alexnet/conv5", "V4", "S1")  # doctest: +SKIP
        """
        where = f"release {self.label}"
        names = (only(self._source, "dataset", dataset), only(self._source, "condition", condition))
        check_names(self._source, "roi", roi)
        check_names(self._source, "subject", subject)
        network, name, _ = parse_unit(f"{layer}/0", self.layers, where=where)
        if _kept.PUBLISHED not in self.tables:
            raise NotKeptError(
                f"{where}: predictions are not published; to publish them, build with "
                "predictions: {units: all} in the recipe"
            )
        return _kept.predicted(self.sql, (*names, network, name), roi, subject, where=where)

    def identify(
        self,
        candidates: str | Features,
        layer: str,
        predicted: ArrayLike | None = None,
        targets: Sequence[str] | None = None,
        *,
        roi: str | None = None,
        subject: str | None = None,
        method: Method = "normalised",
        mean: ArrayLike | None = None,
        sd: ArrayLike | None = None,
        trained: Sequence[str] | None = None,
        units: UnitSet | Sequence[str] | None = None,
        dataset: str | None = None,
        condition: str | None = None,
    ) -> Identified:
        """Identify predictions of a layer among candidates: one's own, or those published.

        Parameters
        ----------
        candidates : str or Features
            A set of the release that publishes its features, or a set of your own, such as a
            :class:`unitdb.candidates.CandidateSet`.
        layer : str
            ``model/layer``.
        predicted : array of shape (n_samples, n_units), optional
            Your predictions, raw activations of the units of table ``candidate_units``; of a
            DataFrame the columns say of which. By default those that the release publishes, of
            ``roi`` and ``subject``.
        targets : sequence of str, optional
            The true candidate of each sample, needed with predictions of your own.
        roi, subject : str, optional
            Of the published predictions; the subject also tells whose training samples units are
            normalised by.
        method : {'normalised', 'horikawa2017'}
            Pearson r over units normalised by mean and SD over the samples that train, or raw.
        mean, sd : array of shape (n_units,), optional
            To normalise by; by default those that the release publishes.
        trained : sequence of str, optional
            Candidates that trained the decoder of your predictions; by default those with that
            role in the release.
        units : UnitSet or sequence of str, optional
            Units that patterns are of, ``model/layer/unit``; by default all that there are. If
            they are chosen by the same samples, such as the best ones, rates are too high.
        dataset, condition : str, optional
            Which, where the release has several.

        Returns
        -------
        Identified
            ``rows``, ``summary`` and ``curve(n)``.

        Raises
        ------
        NotKeptError
            The release does not publish what this takes; says what in the recipe would.
        UnknownCandidatesError, UnknownCandidateError, UnknownLayerError, \
UnknownDatasetError, UnknownConditionError, UnknownRoiError, UnknownSubjectError
            No such name; gives the nearest.
        QueryError
            Predictions of other units than there are features of, numbers that are not finite,
            or targets that are missing or too many.

        Examples
        --------
        >>> found = release.identify("outside", "net/fc", mine, names)  # doctest: +SKIP
        >>> found.summary.rate, found.summary.chance_fold  # doctest: +SKIP
        >>> found.curve([2, 10, 100])  # doctest: +SKIP
        """
        from unitdb.release.identifying import Asked, identify_in

        names = (only(self._source, "dataset", dataset), only(self._source, "condition", condition))
        for column, name in (("roi", roi), ("subject", subject)):
            if name is not None:
                check_names(self._source, column, name)
        asked = Asked(
            layer=layer,
            predicted=predicted,
            targets=targets,
            roi=roi,
            subject=subject,
            method=method,
            mean=mean,
            sd=sd,
            trained=trained,
            units=units,
        )
        return identify_in(self, names, candidates, asked)

    def reconstructions(
        self,
        method: str | None = None,
        *,
        subject: str | None = None,
        source: str | None = None,
        dataset: str | None = None,
        condition: str | None = None,
        model: str | None = None,
    ) -> Reconstructions:
        """Pictures reconstructed from responses, and their scores.

        Parameters
        ----------
        method : str, optional
            Name of a method; all by default.
        subject, source, dataset, condition, model : str, optional
            Which; all by default. ``mean`` is all people side by side.

        Returns
        -------
        Reconstructions
            ``pictures``, ``scores`` and ``save(folder)``.

        Raises
        ------
        NotKeptError
            The release has none; says what in the recipe makes them.
        UnknownNameError
            No such name; gives the nearest.

        Examples
        --------
        >>> found = release.reconstructions("inversion", subject="mean")  # doctest: +SKIP
        >>> found.save("pictures")  # doctest: +SKIP
        """
        from unitdb.release.pictured import reconstructions

        chosen = {
            "method": method,
            "subject": subject,
            "source": source,
            "dataset": dataset,
            "condition": condition,
            "model": model,
        }
        return reconstructions(self.sql, self.tables, chosen, where=f"release {self.label}")

    def stimuli(
        self, unit: str, n: int | None = None, *, dataset: str | None = None
    ) -> pd.DataFrame:
        """Pictures by how much they drive a unit, the highest activation first.

        Parameters
        ----------
        unit : str
            ``model/layer/unit``.
        n : int, optional
            Only so many that drive it most, and so many that drive it least.
        dataset : str, optional
            Which, where the release has several.

        Returns
        -------
        pandas.DataFrame
            ``stimulus``, ``split``, ``activation`` (raw) and ``thumbnail``: the picture made small,
            JPEG; None where it may not be shown.

        Raises
        ------
        NotKeptError, UnknownDatasetError, UnknownLayerError, QueryError
            As of :meth:`predictions`; also where ``n`` is not a positive number.

        Examples
        --------
        >>> release.stimuli("net/fc/3", 2, dataset="sim-a").columns.tolist()
        ['stimulus', 'split', 'activation', 'thumbnail']
        """
        if n is not None:
            n = positive(n, "stimuli() takes a positive number of pictures")
        name = only(self._source, "dataset", dataset)
        return _kept.stimuli(self.sql, name, self._kept_unit(unit, name, predictions=False), n)

    def _kept_unit(self, unit: str, dataset: str, *, predictions: bool) -> tuple[str, str, int]:
        """Parts of the name of a unit that is kept.

        Raises
        ------
        NotKeptError
            It is not.
        """
        where = f"release {self.label}"
        place = parse_unit(unit, self.layers, where=where)
        if _kept.NEEDS not in self.tables:
            raise NotKeptError(
                f"{where}: of schema {self.schema_version}, which keeps no activations and "
                "predictions: build it again"
            )
        model, layer, index = place
        name = f"{model}/{layer}/{index}"
        known = self.kept(f"{model}/{layer}", predictions=predictions, dataset=dataset)
        if name not in known:
            what = "predictions" if predictions else "activations"
            raise _kept.not_kept(name, known, what=what, where=where)
        return place

"""What table ``test_sets`` says of the accuracies of each test set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unitdb.errors import CorruptReleaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Sets"]

Row = dict[str, Any]


class Sets:
    """Test sets by dataset and condition; where the schema has none, each dataset has one.

    Parameters
    ----------
    tables : mapping of str to list of dict
        Rows of ``subjects``, and of ``test_sets`` unless the release is of an older schema.

    Raises
    ------
    CorruptReleaseError
        The samples of the sets are not those that ``subjects`` counts.
    """

    def __init__(self, tables: Mapping[str, list[Row]]) -> None:
        rows: Iterable[Row] | None = tables.get("test_sets")
        self._rows: dict[tuple[str, str], Row] | None = None
        self._n_test = {
            (row["dataset"], row["roi"], row["subject"]): int(row["n_test"])
            for row in tables["subjects"]
        }
        if rows is None:
            return
        self._rows = {(row["dataset"], row["condition"]): row for row in rows}
        for (dataset, condition), row in self._rows.items():
            if row["n_targets"] > row["n_samples"]:
                raise CorruptReleaseError(
                    f"test_sets: {dataset}/{condition}: n_targets is {row['n_targets']}, of "
                    f"{row['n_samples']} samples"
                )
        for (dataset, roi, subject), n_test in self._n_test.items():
            n = sum(row["n_samples"] for key, row in self._rows.items() if key[0] == dataset)
            if n != n_test:
                raise CorruptReleaseError(
                    f"subjects: {dataset}/{subject}/{roi}: n_test is {n_test}, but the test sets "
                    f"have {n} samples"
                )

    def conditions(self, dataset: str) -> list[str] | None:
        """Names of the test sets of a dataset; None where the schema does not say."""
        if self._rows is None:
            return None
        return [condition for name, condition in self._rows if name == dataset]

    def n_samples(self, dataset: str, condition: str, roi: str, subject: str) -> int:
        """Samples that accuracies of a test set are over."""
        if self._rows is None:
            return self._n_test[dataset, roi, subject]
        return int(self._row(dataset, condition)["n_samples"])

    def share_targets(self, dataset: str, condition: str) -> bool:
        """Whether samples share what is decoded from them: no p by formula holds then."""
        if self._rows is None:
            return False
        row = self._row(dataset, condition)
        return bool(row["n_targets"] < row["n_samples"])

    def has_halves(self, dataset: str, condition: str) -> bool:
        """Whether single presentations were decoded, where the build says so of any."""
        if self._rows is None:
            return True
        return self._row(dataset, condition)["n_presentations"] is not None

    def _row(self, dataset: str, condition: str) -> Row:
        found = None if self._rows is None else self._rows.get((dataset, condition))
        if found is None:
            raise CorruptReleaseError(
                f"test_sets: no row of {dataset}/{condition}, of which there are accuracies"
            )
        return found

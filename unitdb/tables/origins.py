"""Rows of the tables that numbers refer to, whoever has computed them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import unitdb
from unitdb.specs import canonical_json, content_sha256
from unitdb.tables.files import InputFile, Use, describe_files
from unitdb.tables.provenance import code_sha256, own_commit, package_versions
from unitdb.tables.rows import Rows

__all__ = ["Origin", "build_name", "code_columns", "input_rows", "significance"]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Files that the accuracies of a network are from, as they were read.

    Parameters
    ----------
    network : str
    uses : sequence of Use
    described : mapping of Path to InputFile
        What each holds.
    folder : Path
        Paths are given below it.
    """

    network: str
    uses: Sequence[Use]
    described: Mapping[Path, InputFile]
    folder: Path

    @classmethod
    def read(cls, network: str, uses: Sequence[Use], *, folder: Path) -> Origin:
        """Read and hash the files."""
        described = describe_files([use.path for use in uses], bases=[folder])
        return cls(network=network, uses=uses, described=described, folder=folder)

    @property
    def files(self) -> dict[str, str]:
        """Hash of each file."""
        return {
            use.path.relative_to(self.folder).as_posix(): self.described[use.path].sha256
            for use in self.uses
        }

    @property
    def build(self) -> str:
        """Name of the build: a hash of files and code."""
        return build_name(self.network, self.files)


def build_name(network: str, content: object) -> str:
    """Name of a build that made tables of accuracies: a hash of these and of the code."""
    return content_sha256([network, content, unitdb.__version__, code_sha256()])[:12]


def input_rows(build: str, uses: Iterable[Use], described: Mapping[Path, InputFile]) -> Rows:
    """Rows of table ``inputs`` of one build: its files, and the code."""
    code = {
        "role": "code",
        "path": "unitdb",
        "subject": None,
        "size": None,
        "sha256": code_sha256(),
        "annex_key": None,
        "datalad_id": None,
        "git_commit": own_commit(),
    }
    files = [
        {"role": use.role, "subject": use.subject, **asdict(described[use.path])} for use in uses
    ]
    return [{"build": build, **row} for row in [code, *files]]


def code_columns() -> dict[str, str]:
    """Columns of ``builds`` that say by which code and packages it was."""
    return {
        "unitdb_version": unitdb.__version__,
        "code_sha256": code_sha256(),
        "packages": canonical_json(package_versions()),
    }


def significance(*, n_controls: int, n_folds: int | None, alike: bool) -> str | None:
    """``builds.significance``: how p was computed; None where the design has no test.

    Parameters
    ----------
    n_controls : int
        Controls of each accuracy, which p is taken among where there are any.
    n_folds : int or None
        Folds of the cross-validation: what tests trains too, and no formula holds.
    alike : bool
        Whether it is known how alike the predictions of subjects are; else they are taken to be
        independent.
    """
    if n_controls:
        return canonical_json(
            {"test": "controls", "n": n_controls, "over_subjects": "mean accuracy"}
        )
    if n_folds is not None:
        return None
    correlated = ", correlated by intersubject.prediction_r" if alike else ""
    return canonical_json({"test": "t", "over_subjects": f"stouffer{correlated}"})

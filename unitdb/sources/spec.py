"""Where the files of a dataset come from: the section `files` of a dataset.yaml."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from unitdb.specs import Name, RelativePath, Spec

__all__ = ["DatasetFile", "DatasetFiles"]

_FIGSHARE = "https://figshare.com/ndownloader/files/{}"


def _clonable(text: str) -> str:
    # git also knows addresses that run programs (`ext::…`), and options begin with a dash.
    if re.match(r"(https?|ssh|file)://[^\s-]", text) or re.match(r"[\w.~/](?!.*:)", text):
        return text
    raise ValueError("must be an https, ssh or file address, or the path of a dataset")


Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+/\S*$")]
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
Clonable = Annotated[str, AfterValidator(_clonable)]


class DatasetFile(Spec):
    """A file that its publisher offers at an address.

    Parameters
    ----------
    path : str
        Where it goes, below the dataset's folder.
    url : str, optional
        Its address.
    figshare : int, optional
        Its number at figshare, in place of an address.
    md5 : str, optional
        Its checksum, where the publisher states one.
    size : int, optional
        Bytes, where the publisher states them.
    subject : str, optional
        Whose it is; a file without is everybody's.
    rois : list of str, optional
        ROIs in it; a file without has all, or none of its own.
    """

    path: Annotated[RelativePath, StringConstraints(pattern=r"^[^\s-][^\n\r]*$")]
    url: Url | None = None
    figshare: Annotated[int, Field(ge=1)] | None = None
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    subject: Name | None = None
    rois: list[Name] | None = None

    @property
    def address(self) -> str:
        """Where it is downloaded from."""
        return self.url or _FIGSHARE.format(self.figshare)

    @property
    def key(self) -> str | None:
        """Its key in git-annex: the published checksum, and size where known."""
        if self.md5 is None:
            return None
        return f"MD5--{self.md5}" if self.size is None else f"MD5-s{self.size}--{self.md5}"

    @model_validator(mode="after")
    def _one_address(self) -> DatasetFile:
        if (self.url is None) == (self.figshare is None):
            raise ValueError("give `url` or `figshare`, one of them")
        return self


class DatasetFiles(Spec):
    """Files to be put together to a DataLad dataset, or a DataLad dataset that exists.

    Parameters
    ----------
    download : list of DatasetFile
        Files by address.
    datalad : str, optional
        Address or path of a DataLad dataset, which is cloned; in place of ``download``.
    version : str, optional
        Its commit or tag; needed with an address, so that the data cannot change unnoticed.
    fetch : list of str
        What is fetched of it, all where it is empty; ``{subject}`` stands for the subjects asked
        for.
    """

    download: list[DatasetFile] = Field(default_factory=list)
    datalad: Clonable | None = None
    version: Version | None = None
    fetch: list[RelativePath] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_kind(self) -> DatasetFiles:
        if bool(self.download) == (self.datalad is not None):
            raise ValueError("give `download` or `datalad`, one of them")
        if self.datalad is None and self.version is not None:
            raise ValueError("`version` belongs to `datalad`")
        if self.datalad is not None and "://" in self.datalad and self.version is None:
            raise ValueError("`version` is missing: the commit or tag of the dataset to clone")
        paths = [file.path for file in self.download]
        twice = sorted({path for path in paths if paths.count(path) > 1})
        if twice:
            raise ValueError(f"stand twice: {', '.join(twice)}")
        return self

"""Chosen units as tensors of their layers: masks, channels and weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from unitdb.query import maskfiles, tensors
from unitdb.query.selection import Selection

if TYPE_CHECKING:
    import torch

__all__ = ["MaskedSelection"]


class MaskedSelection(Selection):
    """Chosen rows of a release, and the units of theirs in torch."""

    def masks(self) -> dict[str, torch.Tensor]:
        """Chosen units of each layer as a mask; a unit in several rows is chosen once.

        Returns
        -------
        dict of str to bool tensor of shape (C, H, W) or (N,)
            Layers that hold a chosen unit, in the order of depth; indexed in C order.

        Raises
        ------
        QueryError
            The units are of several models.
        MissingExtraError
            torch is not installed.

        Examples
        --------
        >>> masks = release.units(roi="V4").where(unitdb.col.mean_r > 0.3).masks()
        >>> masks["conv1"].shape
        torch.Size([2, 3, 3])
        """
        return tensors.masks(self)

    def write_masks(
        self,
        destination: str | Path | BinaryIO,
        *,
        format: Literal["npz", "pt"] | None = None,  # noqa: A002
    ) -> None:
        """Write the masks of :meth:`masks` to a file, a boolean array a layer under its name.

        ``numpy.load(path)`` or ``torch.load(path)`` gives them back. The comment of the file, which
        is a zip file, holds release, query and citation as JSON.

        Parameters
        ----------
        destination : path or binary file
            A path is written atomically: all masks or no file.
        format : {"npz", "pt"}, optional
            For numpy or torch; by default what the path ends in.

        Raises
        ------
        QueryError
            Another format, or the units are of several models.
        MissingExtraError
            ``pt``, and torch is not installed.

        Examples
        --------
        >>> units = release.units(dataset="sim-a", roi="V4", layer="conv1").top(3)
        >>> units.write_masks(folder / "v4.npz")
        >>> int(np.load(folder / "v4.npz")["conv1"].sum())
        3
        """
        to = Path(destination) if isinstance(destination, str) else destination
        maskfiles.write_masks(self, to, format)

    def channels(self, *, min_units: int = 1, min_share: float = 0.0) -> dict[str, torch.Tensor]:
        """Channels of each layer that hold chosen units, by what the axes of the layer are.

        In a layer (N,) each unit is a channel, in one of tokens and features each feature.

        Parameters
        ----------
        min_units : int
            Least number of chosen units of the channel.
        min_share : float
            Least share, 0 to 1, of the channel's units, counted over all of its positions,
            also those of which the release has no accuracy.

        Returns
        -------
        dict of str to int64 tensor of shape (n_channels,)
            Ascending; layers that hold a chosen unit, in the order of depth.

        Raises
        ------
        QueryError
            The units are of several models, the axes of a layer are not known, or a minimum is no
            such.
        MissingExtraError
            torch is not installed.

        Examples
        --------
        >>> units = release.units(dataset="sim-a", roi="V4", layer="conv1")
        >>> {layer: mask.tolist() for layer, mask in units.channels().items()}
        {'conv1': [0, 1]}
        """
        return tensors.channels(self, min_units=min_units, min_share=min_share)

    def weights(
        self,
        by: str = "mean_r",
        *,
        over: Literal["max", "mean"] | None = None,
        missing: float | None = None,
    ) -> dict[str, torch.Tensor]:
        """Accuracies as soft weights: a column's value at each chosen unit, 0 at all others.

        Values are as they stand, also where negative.

        Parameters
        ----------
        by : str
            A numeric column of ``unit_summary``.
        over : {"max", "mean"}, optional
            How the rows (ROIs, datasets, conditions) of a unit that has several are combined, NULL
            left out. By default such units are refused: which one is meant is for you to say.
        missing : float, optional
            Weight of chosen units whose column is NULL; by default they are refused.

        Returns
        -------
        dict of str to float32 tensor of shape (C, H, W) or (N,)
            Layers that hold a chosen unit, in the order of depth; indexed in C order.

        Raises
        ------
        QueryError
            The units are of several models, a unit has several rows or no value, or ``over`` is
            something else.
        UnknownColumnError
            Names the nearest numeric columns.
        MissingExtraError
            torch is not installed.

        Examples
        --------
        >>> units = release.units(dataset="sim-a", roi="V4", layer="conv1").top(2)
        >>> {layer: tuple(weights.shape) for layer, weights in units.weights().items()}
        {'conv1': (2, 3, 3)}
        """
        return tensors.weights(self, by, over=over, missing=missing)

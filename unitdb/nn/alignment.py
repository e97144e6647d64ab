"""A loss that pulls activations towards the brain-like units of a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import nn

from unitdb.errors import AnalysisError, QueryError
from unitdb.nn.selected import SelectedActivations
from unitdb.nn.wiring import Units, units_by_layer
from unitdb.query.tensors import unit_weights
from unitdb.query.units import UnitSet
from unitdb.resolution import SINGLE

__all__ = ["AlignmentLoss"]

_LEAST_IMAGES = {"cka": 3, "cka-debiased": 4, "units": 3}


class AlignmentLoss(nn.Module):
    """How far a student's activations are from the brain-like units of a teacher, over a batch.

    A unit u has the weight w_u = max(accuracy_u, 0), scaled to a sum of 1: units that cannot be
    decoded do not count. S is the student's activations, T the teacher's, n images each; z(·) takes
    the mean over the batch away from each column and divides by its SD.

    ``kind="units"``: the student has the teacher's units, in the same columns. With ρ_u the
    correlation (Pearson) of both over the images,

        L = Σ_u w_u (1 − ρ_u(S, T)) = Σ_u w_u · mean_i (z(S)_iu − z(T)_iu)² / 2,

    from 0 to 2: the complement of a weighted mean of the measure that accuracy is.

    ``kind="cka"``: the student may have any units, of any number. With A = S_c S_cᵀ (columns
    centred) and B = z(T) diag(w) z(T)ᵀ, images × images,

        L = 1 − CKA = 1 − ⟨A, B⟩ / (‖A‖ ‖B‖),

    from 0 to 1: what stays the same where the student is rotated or scaled as a whole. The more
    units and the fewer images, the higher CKA is also between things that have nothing in common.
    ``kind="cka-debiased"`` has in place of A and B what U-centring leaves of them (no diagonal;
    rows that sum to 0), so that ⟨A, B⟩ estimates HSIC without bias: the loss is then about 1 where
    there is nothing in common, and at most 2.

    A column that does not vary over the batch has z = 0.

    Parameters
    ----------
    units : UnitSet or mapping of str to bool tensor of shape (C, H, W) or (N,)
        Units of the teacher. As masks, all have the same weight.
    teacher : torch.nn.Module or SelectedActivations, optional
        Network that the units are of, for :meth:`target`. It is put into evaluation mode and stays
        there.
    kind : {"cka", "cka-debiased", "units"}
        What is compared.
    by : str or None
        Column that weights; None gives all units the same weight.
    over, missing : optional
        As in :meth:`unitdb.UnitSet.weights`.
    layers : mapping of str to str, optional
        Layer → name of the teacher's module, where it differs from the release's.

    Attributes
    ----------
    weights : tensor of shape (n_units,)
        w, in the order of the columns of :class:`SelectedActivations`.

    Raises
    ------
    QueryError
        No unit is chosen or none has an accuracy above 0, or as :meth:`unitdb.UnitSet.weights`.
    AnalysisError
        There is no such kind; while running: shapes that do not fit, too few images.
    UnknownLayerError, ModelError
        As :class:`SelectedActivations`.

    References
    ----------
    Kornblith, Norouzi, Lee & Hinton (2019), Similarity of neural network representations
    revisited, ICML (linear CKA). Song, Smola, Gretton, Bedo & Borgwardt (2012), Feature selection
    via dependence maximization, JMLR 13, 1393–1434, eq. 5 (unbiased HSIC). Székely & Rizzo (2014),
    Partial distance correlation with methods for dissimilarities, Ann. Stat. 42, 2382–2412
    (U-centring).

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    >>> units = {"1": torch.ones(3, dtype=torch.bool)}
    >>> loss = nn.AlignmentLoss(units, teacher=teacher, kind="units")
    >>> target = loss.target(torch.rand(8, 3, 2, 2))
    >>> abs(round(loss(2 * target + 1, target).item(), 3))
    0.0
    """

    weights: torch.Tensor

    def __init__(
        self,
        units: Units,
        *,
        teacher: nn.Module | None = None,
        kind: Literal["cka", "cka-debiased", "units"] = "cka",
        by: str | None = "mean_r",
        over: Literal["max", "mean"] | None = None,
        missing: float | None = None,
        layers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        if kind not in _LEAST_IMAGES:
            raise AnalysisError(f"kind={kind!r} is none of {', '.join(map(repr, _LEAST_IMAGES))}")
        self.kind = kind
        self.register_buffer("weights", _weights(units, by, over, missing))
        self.teacher: SelectedActivations | None = None
        if isinstance(teacher, SelectedActivations):
            self.teacher = teacher.eval()
        elif teacher is not None:
            self.teacher = SelectedActivations(teacher, units, layers=layers).eval()
        if self.teacher is not None and sum(self.teacher.sizes.values()) != len(self.weights):
            raise AnalysisError(
                f"the teacher gives {sum(self.teacher.sizes.values())} units, and "
                f"{len(self.weights)} are chosen: they must be the same"
            )

    def target(self, images: torch.Tensor) -> torch.Tensor:
        """Activations of the teacher's units; without gradients.

        Parameters
        ----------
        images : tensor of shape (n_images, channels, height, width)
            As the teacher takes them.

        Returns
        -------
        tensor of shape (n_images, n_units)

        Raises
        ------
        AnalysisError
            There is no teacher.
        """
        if self.teacher is None:
            raise AnalysisError("no teacher was given: AlignmentLoss(units, teacher=network)")
        with torch.no_grad():
            activations: torch.Tensor = self.teacher(images)
        return activations

    def forward(self, student: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of one batch.

        Parameters
        ----------
        student : tensor of shape (n_images, ...)
            Activations, flattened to columns.
        target : tensor of shape (n_images, n_units)
            From :meth:`target`, or stored.

        Returns
        -------
        tensor of shape ()
        """
        student = student.flatten(1)
        self._check(student, target)
        z = _unit_variance(target, dim=(0,))
        if self.kind == "units":
            rho = (_unit_variance(student, dim=(0,)) * z).mean(dim=0)
            return (self.weights * (1 - rho)).sum()
        # CKA does not depend on the student's scale, but how well numbers are kept does.
        centred, scaled = _unit_variance(student, dim=(0, 1)), z * self.weights.sqrt()
        of_student, of_target = centred @ centred.T, scaled @ scaled.T
        if self.kind == "cka-debiased":
            of_student, of_target = _u_centred(of_student), _u_centred(of_target)
        norms = torch.linalg.vector_norm(of_student) * torch.linalg.vector_norm(of_target)
        norms = norms.clamp_min(torch.finfo(norms.dtype).eps)  # both are 0 or far larger
        loss: torch.Tensor = 1 - (of_student * of_target).sum() / norms
        return loss

    def train(self, mode: bool = True) -> AlignmentLoss:
        """Set the mode; the teacher stays in evaluation.

        Returns
        -------
        AlignmentLoss
            Itself.
        """
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def _check(self, student: torch.Tensor, target: torch.Tensor) -> None:
        if target.ndim != 2 or target.shape[1] != len(self.weights):
            raise AnalysisError(
                f"target has shape {tuple(target.shape)}; it must be (n_images, "
                f"{len(self.weights)}), a column for each chosen unit"
            )
        if len(student) != len(target):
            raise AnalysisError(f"student has {len(student)} images, and target {len(target)}")
        if len(student) < _LEAST_IMAGES[self.kind]:
            raise AnalysisError(
                f"{len(student)} images are too few for kind={self.kind!r}: at least "
                f"{_LEAST_IMAGES[self.kind]}"
            )
        if self.kind == "units" and student.shape != target.shape:
            raise AnalysisError(
                f"student has {student.shape[1]} units, and target {target.shape[1]}: for "
                "kind='units' they must be the same units; other numbers go with kind='cka'"
            )


def _weights(
    units: Units,
    by: str | None,
    over: Literal["max", "mean"] | None,
    missing: float | None,
) -> torch.Tensor:
    chosen = units_by_layer(units)
    values = {layer.layer: np.ones(len(layer.units), np.float32) for layer in chosen}
    if by is not None and isinstance(units, UnitSet):
        values = unit_weights(units, by, over=over, missing=missing)
    weights = torch.from_numpy(np.concatenate([values[layer.layer] for layer in chosen]))
    weights = weights.clamp_min(0)
    if not weights.any():
        raise QueryError(f"no chosen unit has a {by} above 0")
    return weights / weights.sum()


def _unit_variance(values: torch.Tensor, *, dim: tuple[int, ...]) -> torch.Tensor:
    """Columns less their mean, divided by the SD over ``dim`` (ddof = 0); 0 where constant.

    Constant as of :func:`unitdb.resolution.is_constant`, or by what shorter floats resolve.
    """
    # Times a power of two, so that squares neither over- nor underflow; what it cancels is 1.
    exponent = torch.frexp(values.detach().abs().amax(dim=dim).float()).exponent
    most = 15 if values.dtype == torch.float16 else 126
    values = values * torch.exp2(-exponent.clamp(-most, most).float()).to(values.dtype)
    given = values.detach()
    least = max(SINGLE, 16 * torch.finfo(values.dtype).eps) * given.abs().amax(dim=0)
    varies = given.amax(dim=0) - given.amin(dim=0) > least
    centred = torch.where(varies, values - values.mean(dim=0), torch.zeros_like(values))
    variance = centred.square().mean(dim=dim)
    sd = torch.where(variance.detach() > 0, variance, torch.ones_like(variance)).sqrt()
    return centred / sd


def _u_centred(a: torch.Tensor) -> torch.Tensor:
    """A symmetric matrix without its diagonal, less what makes rows and columns sum to 0."""
    n = len(a)
    a = a - torch.diag(a.diagonal())
    rows = a.sum(dim=0) / (n - 2)
    a = a - rows[:, None] - rows[None, :] + rows.sum() / (n - 1)
    return a - torch.diag(a.diagonal())

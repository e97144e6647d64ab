"""Networks in workers: made once by each thread, and the same that the build has."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from unitdb.activations import LoadedModel, ModelSpec, load_model
from unitdb.errors import WorkersError

if TYPE_CHECKING:
    from unitdb.nn import Transform

__all__ = ["NetworkSource", "look_of"]

_Made = dict[tuple[str, tuple[str, ...], int | None], LoadedModel]
_MADE: _Made = {}
_OF_THREAD = threading.local()
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkSource:
    """What a network is made from.

    Parameters
    ----------
    spec : ModelSpec
    folder : Path
        Which its files are relative to.
    seed : int
        Of torch while the factory runs.
    layers : tuple of str
    sha256 : str
        That it must have.
    size : int, optional
        Side of its input, where that is another than its own: the same weights.
    """

    spec: ModelSpec
    folder: Path
    seed: int
    layers: tuple[str, ...]
    sha256: str
    size: int | None = None

    @classmethod
    def of(
        cls,
        model: LoadedModel,
        *,
        folder: Path,
        seed: int,
        layers: tuple[str, ...],
        size: int | None = None,
    ) -> NetworkSource:
        """What a network that is here is made from, for workers elsewhere.

        Returns
        -------
        NetworkSource
            It can be pickled.
        """
        return cls(
            spec=model.spec,
            folder=folder,
            seed=seed,
            layers=layers,
            sha256=model.model_sha256,
            size=size,
        )

    def load(self) -> LoadedModel:
        """The network of this thread: a copy, since no two may run one at once.

        Before threads share the work it is called once where they start: to make a network draws
        from torch's own chance, which others are watched for meanwhile.

        Returns
        -------
        LoadedModel
            The same one when a thread asks again.

        Raises
        ------
        WorkersError
            Other weights, or another version of a package, than where the build runs.
        """
        key = (self.sha256, self.layers, self.size)
        own: _Made = _OF_THREAD.__dict__.setdefault("networks", {})
        if key not in own:
            with _ONE_AT_A_TIME:
                made = _MADE.get(key) or self._make()
                _MADE[key] = made
                own[key] = replace(made, module=copy.deepcopy(made.module))
        return own[key]

    def _make(self) -> LoadedModel:
        found = load_model(self.spec, folder=self.folder, seed=self.seed, layers=self.layers)
        if found.model_sha256 != self.sha256:
            raise WorkersError(
                f"network {self.spec.name!r} has other weights, or another version of a package, "
                "here than where the build runs"
            )
        if self.size is None:
            return found
        shown = self.spec.preprocessing
        other = shown.model_copy(update={"size": self.size, "resize": None, "crop": shown.crop})
        spec = self.spec.model_copy(update={"preprocessing": other, "check": None})
        return load_model(spec, folder=self.folder, seed=self.seed, layers=self.layers)


def look_of(loaded: LoadedModel) -> Transform:
    """What a network takes of a picture, as :mod:`unitdb.nn` has it.

    Returns
    -------
    Transform
        For :func:`unitdb.nn.invert` and others.
    """
    from unitdb.nn import Transform

    shown = loaded.spec.preprocessing
    return Transform(
        size=shown.size,
        crop=shown.crop,
        interpolation=shown.interpolation,
        mean=shown.mean,
        std=shown.std,
        channels=shown.channels,
        resize=shown.resize,
        fit=shown.fit,
    )

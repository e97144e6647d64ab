"""Generators that a recipe names as a prior: networks from latents to pictures."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitdb.activations import ModelSpec, Preprocessing
from unitdb.errors import ModelError, UnitdbError, WorkersError
from unitdb.reads import note_read
from unitdb.recipes.picturing import GeneratorSpec, InversionSpec
from unitdb.specs import canonical_json, content_sha256

if TYPE_CHECKING:
    from unitdb.nn import Generator
    from unitdb.recipes.picturing import ReconstructionSpec

__all__ = ["PriorSource", "read_priors"]

_MADE: dict[str, Generator] = {}
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, kw_only=True, eq=False)
class PriorSource:
    """What a generator is made from.

    Parameters
    ----------
    spec : GeneratorSpec
    folder : Path
        Which its files are relative to.
    seed : int
        Of torch while the factory runs.
    side : int
        Of its pictures.
    sha256 : str
        That it must have: of its weights, and of the factory's file.
    """

    spec: GeneratorSpec
    folder: Path
    seed: int
    side: int
    sha256: str

    def load(self) -> Generator:
        """The generator, made once in a process.

        Raises
        ------
        WorkersError
            Other weights, or another factory, than where the build runs.
        """
        with _ONE_AT_A_TIME:
            if self.sha256 not in _MADE:
                made, sha256 = _made(self.spec, folder=self.folder, seed=self.seed)
                if sha256 != self.sha256:
                    raise WorkersError("a generator has other weights here than in the build")
                _MADE[sha256] = made
            return _MADE[self.sha256]


def read_priors(
    asked: Sequence[ReconstructionSpec], *, folder: Path, seed: int
) -> dict[str, PriorSource]:
    """Generators by the name of the reconstruction, each tried with its first latent.

    Raises
    ------
    ModelError
        One cannot be made, or gives no square picture.
    """
    import torch

    found = {}
    for each in asked:
        if not isinstance(each, InversionSpec) or each.prior.generator is None:
            continue
        spec, where = each.prior.generator, f"reconstruction {each.name!r}: generator"
        try:
            made, sha256 = _made(spec, folder=folder, seed=seed)
            with torch.no_grad():
                picture = made.picture(made.first(torch.Generator().manual_seed(0)))
        except UnitdbError as cause:
            raise ModelError(f"{where}: {cause}") from None
        except Exception as cause:  # of the network's own code
            first = next(iter(str(cause).splitlines()), type(cause).__name__)
            raise ModelError(
                f"{where}: takes no latent of shape {list(made.latent)}: {first}"
            ) from None
        height, width = picture.shape[-2:]
        if height != width:
            raise ModelError(f"{where}: pictures are {height} × {width}; `crop` makes them square")
        found[each.name] = PriorSource(
            spec=spec, folder=folder, seed=seed, side=height, sha256=sha256
        )
    return found


def _made(spec: GeneratorSpec, *, folder: Path, seed: int) -> tuple[Generator, str]:
    from unitdb.nn import Generator, load_generator

    options: dict[str, Any] = {
        key: value
        for key in ("start", "lower", "upper", "decay", "crop")
        if (value := getattr(spec, key)) is not None
    }
    if spec.file is not None:
        note_read(folder / spec.file)
        made = load_generator(folder / spec.file).prior(**options)
        return made, content_sha256([made.stated()["sha256"], canonical_json(spec)])
    from unitdb.activations.factory import factory_file_sha256, make_network

    # The network of a recipe without what concerns activations.
    network = ModelSpec(
        name="generator",
        title="",
        factory=str(spec.factory),
        factory_options=spec.factory_options,
        weights=spec.weights,
        preprocessing=Preprocessing(size=1, mean=(0, 0, 0), std=(1, 1, 1)),
        layers={"picture": "picture"},
        licence="",
        source="",
        citation="",
        check=None,
    )
    module = make_network(network, folder=folder, seed=seed)
    made = Generator(module, latent=tuple(spec.latent), output=spec.output, **options)
    stated = [made.stated()["sha256"], factory_file_sha256(network, folder=folder)]
    stated += [canonical_json(spec), seed]
    return made, content_sha256(stated)

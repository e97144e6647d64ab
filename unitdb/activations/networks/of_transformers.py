"""Vision networks of transformers, as the files of their repository on the hub describe them.

A repository says what it holds: its configuration, the settings of its image processor, the model
card. They are downloaded beside the weights (:func:`prepare`) and read from there.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn

from unitdb.activations.foreign import as_model_error
from unitdb.activations.models import Download
from unitdb.activations.networks.described import Described
from unitdb.activations.networks.weights import downloaded, kept, read_state
from unitdb.activations.preprocessing import Preprocessing, to_tensor
from unitdb.datafolder import data_folder
from unitdb.errors import ModelError, UnknownModelError
from unitdb.extras import need

__all__ = ["describe", "make", "names", "own_input", "prepare"]

_HUB = "https://huggingface.co"
_SAID = ("config.json", "preprocessor_config.json", "README.md")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_RESAMPLING: dict[int, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}
_PLACES = ((211, 300), (301, 200))  # height and width of what processors are held to
_NOT_OF_NETWORKS = (
    *("transformers_version", "_name_or_path", "architectures", "id2label", "label2id"),
    *("dtype", "torch_dtype", "problem_type"),
)


def names() -> list[str]:
    """Names of the networks that are in the data folder; the hub is not asked."""
    folder = data_folder() / "networks/transformers"
    found = (path.parent.relative_to(folder) for path in folder.rglob("config.json"))
    return sorted(path.as_posix() for path in found)


def prepare(name: str, *, data: Path | None = None) -> None:
    """Download what a repository says of its network, and its weights, into the data folder.

    Parameters
    ----------
    name : str
        Of the repository: ``facebook/dinov2-base``.
    data : Path, optional
        Data folder.

    Raises
    ------
    ModelError
        The hub does not answer, or the repository has no such files.
    """
    origin = _origin(name)
    for file in _SAID:
        downloaded(_file(name, file), origin, data=data)
    if not _any_weights(name, data):
        try:
            downloaded(_file(name, _WEIGHTS[0]), origin, data=data)
        except ModelError:
            downloaded(_file(name, _WEIGHTS[1]), origin, data=data)


def describe(name: str, weights: str | None, *, data: Path | None = None) -> Described:
    """Say what a repository says of its network.

    A network of classes is the one that its configuration names. Of others it is the one without a
    head; of pairs of a network of pictures and one of texts, that of pictures.

    Parameters
    ----------
    name : str
        Of the repository: ``facebook/dinov2-base``.
    weights : str or None
        ``random`` for none.
    data : Path, optional
        Data folder.

    Raises
    ------
    UnknownModelError
        Another state than these.
    ModelError
        Its files are not in the data folder, it takes no pictures, or what its image processor does
        is not known here.
    """
    transformers = _library()
    origin = _origin(name)
    if weights not in (None, "random"):
        raise UnknownModelError(weights or "", ["random"], where=f"weights of {origin}")
    folder = kept(_file(name, _SAID[0]), origin, data=data).parent
    for file in _SAID[1:]:
        kept(_file(name, file), origin, data=data)
    with as_model_error(f"{origin}: {folder / _SAID[0]} cannot be read"):
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    made, of_pictures = _network_of(transformers, config, origin)
    classes = sorted(config.id2label.items()) if made is not _base(transformers, config) else []
    labels = [str(label) for _, label in classes]
    licence, citation = _card((folder / _SAID[2]).read_text(encoding="utf-8", errors="replace"))
    random = weights == "random"
    return Described(
        origin=f"{origin}:random" if random else origin,
        title=f"{name} of transformers{', random weights' if random else ''}",
        factory=f"{__name__}:make",
        options={"architecture": made.__name__, "config": _plain(of_pictures, len(labels))},
        package="transformers",
        download=None if random else _file(name, _any_weights(name, data) or _WEIGHTS[0]),
        preprocessing=_preprocessing(transformers, folder, where=origin),
        labels=() if random or any(one.startswith("LABEL_") for one in labels) else labels,
        licence=licence or "none stated by the model card",
        source="random weights" if random else f"{_HUB}/{name}",
        citation=citation or f"{_HUB}/{name}",
    )


def own_input(name: str, _: str | None, picture: Any, *, data: Path | None = None) -> Any:
    """What the image processor makes of a picture (Pillow); names as of :func:`describe`."""
    folder = data_folder(data) / "networks/transformers" / name
    processor = _library().AutoImageProcessor.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, backend="pil"
    )
    return processor(picture, return_tensors="np")["pixel_values"][0]


def make(*, architecture: str, config: dict[str, Any], file: str | None = None) -> nn.Module:
    """Make a network as transformers does, in single precision, its weights read from a file.

    Parameters
    ----------
    architecture : str
        Class of transformers.
    config : dict
        What its configuration has beside the usual.
    file : str, optional
        Weights; random ones without.

    Raises
    ------
    ModelError
        The file is of another network, or without some of its weights.
    """
    transformers = _library()
    given = transformers.AutoConfig.for_model(**config)
    made = getattr(transformers, architecture)
    # Files of networks without a head have no weights of this one, or weights that nobody trained.
    takes = inspect.signature(made.__init__).parameters
    options = {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}
    network: nn.Module
    if file is None:
        network = made(given, **options)
        return network
    with _quiet(transformers):
        network, told = made.from_pretrained(
            None,
            config=given,
            state_dict=_state(file),
            output_loading_info=True,
            dtype=torch.float32,
            **options,
        )
    wrong = sorted({*told["missing_keys"], *(str(one[0]) for one in told["mismatched_keys"])})
    if wrong:
        raise ModelError(
            f"{file}: {len(wrong)} weights of {architecture} are not in it, or of another shape: "
            + ", ".join(wrong[:4])
        )
    return network


def _library() -> Any:
    need("transformers", "safetensors", by="networks of transformers", extra="transformers")
    with as_model_error(
        f"transformers {metadata.version('transformers')} cannot be imported beside torch "
        f"{torch.__version__} (torchvision, where it is installed, must be of the same torch)"
    ):
        import transformers
        import transformers.modeling_utils
    return transformers


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without bars, and lists of weights that are of the network of texts."""
    logging = transformers.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _origin(name: str) -> str:
    if not _ID.fullmatch(name):
        raise UnknownModelError(f"transformers/{name}", ["transformers/ORGANISATION/NAME"])
    return f"transformers/{name}"


def _file(name: str, file: str) -> Download:
    return Download(path=f"transformers/{name}/{file}", url=f"{_HUB}/{name}/resolve/main/{file}")


def _any_weights(name: str, data: Path | None) -> str | None:
    folder = data_folder(data) / "networks/transformers" / name
    return next((file for file in _WEIGHTS if (folder / file).is_file()), None)


def _state(file: str) -> Mapping[str, Any]:
    if not file.endswith(".safetensors"):
        state: Mapping[str, Any] = read_state(file)
        return state
    from safetensors.torch import load_file

    with as_model_error(f"{file}: not a file of safetensors"):
        read: Mapping[str, Any] = load_file(file)
        return read


def _network_of(transformers: Any, config: Any, origin: str) -> tuple[Any, Any]:
    """Class of the network of pictures, and its configuration."""
    from transformers.models.auto import modeling_auto

    classes = modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES.values()
    known = {one for each in classes for one in ((each,) if isinstance(each, str) else each)}
    for name in config.architectures or ():
        if name in known:
            return getattr(transformers, name), config
    of_pictures = getattr(config, "vision_config", config)
    made = _base(transformers, of_pictures)
    # Where texts and pictures meet, there is one more layer.
    made = getattr(transformers, f"{getattr(made, '__name__', '')}WithProjection", made)
    if made is None or made.main_input_name != "pixel_values":
        raise ModelError(f"{origin}: {config.model_type!r} is no network of pictures")
    return made, of_pictures


def _base(transformers: Any, config: Any) -> Any:
    """Class without a head."""
    try:
        return transformers.AutoModel._model_mapping[type(config)]
    except KeyError:
        return None


def _plain(config: Any, n_classes: int) -> dict[str, Any]:
    """What makes the network: no names of classes, versions and paths."""
    stated = json.loads(config.to_json_string(use_diff=True))
    kept_ = {key: value for key, value in stated.items() if key not in _NOT_OF_NETWORKS}
    return {**kept_, "num_labels": n_classes} if n_classes else kept_


def _preprocessing(transformers: Any, folder: Path, *, where: str) -> Preprocessing:
    """What the image processor does: as it is stated, and seen to do the same to two pictures."""
    with as_model_error(f"{where}: {folder / _SAID[1]} cannot be read"):
        processor = transformers.AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, backend="pil"
        )
        stated = json.loads(processor.to_json_string())
    rng = np.random.Generator(np.random.PCG64(0))
    pictures = [rng.integers(0, 256, (*place, 3), dtype=np.uint8) for place in _PLACES]
    with as_model_error(f"{where}: its image processor"):
        theirs = [np.asarray(processor(one, return_tensors="np")["pixel_values"][0])
                  for one in pictures]  # fmt: skip
    if all(one.shape == (3, *theirs[0].shape[1:2] * 2) for one in theirs):
        with as_model_error(f"{where}: settings of its image processor"):
            likely = list(_likely(stated, theirs[0].shape[1]))
        for ours in likely:
            if all(
                np.allclose(to_tensor(one, ours).numpy(), their, atol=1e-5)
                for one, their in zip(pictures, theirs, strict=True)
            ):
                return ours
    raise ModelError(
        f"{where}: what its image processor {stated.get('image_processor_type')} does is not known "
        "here (to resize to a square, or by the shorter side and to crop the middle, is)"
    )


def _likely(stated: Mapping[str, Any], side: int) -> Iterator[Preprocessing]:
    """Preprocessings that settings may stand for."""
    unit = 1 / stated["rescale_factor"] if stated.get("do_rescale") else 1.0
    values = [(0, 0, 0), (1, 1, 1)]
    if stated.get("do_normalize"):
        values = [stated["image_mean"], stated["image_std"]]
    mean, std = ([round(unit * float(value), 6) for value in each] for each in values)
    shorter = (stated.get("size") or {}).get("shortest_edge")
    cut = {"fit": "centre-down", "resize": shorter, "crop": side / shorter} if shorter else None
    larger = int(shorter / stated["crop_pct"]) if shorter and stated.get("crop_pct") else None
    inner = {"fit": "centre-down", "resize": larger, "crop": side / larger} if larger else None
    for how in ({"fit": "whole"}, cut, inner):
        for channels in ("RGB", "BGR") if how is not None else ():
            try:
                yield Preprocessing.model_validate({
                    **(how or {}),
                    "size": side,
                    "interpolation": _RESAMPLING[stated.get("resample", 2)],
                    "mean": mean,
                    "std": std,
                    "channels": channels,
                })  # fmt: skip
            except (ValidationError, LookupError):
                return


def _card(text: str) -> tuple[str | None, str | None]:
    """Licence and citation of a model card."""
    from huggingface_hub import ModelCard

    with as_model_error("the model card"):
        card: Any = ModelCard(text, ignore_metadata_errors=True)
        said = card.data.to_dict()
    named = said.get("license_name") or said.get("license") or []
    licence = ", ".join(map(str, named if isinstance(named, list) else [named])) or None
    cited = re.search(r"@\w+\{.*?^\s*\}\s*$", text, re.DOTALL | re.MULTILINE)
    entry = dict(re.findall(r"(\w+)\s*=\s*[{\"]+(.+?)[}\"]+\s*,?\s*$", cited[0], re.MULTILINE)) if (
        cited
    ) else {}  # fmt: skip
    told = [entry[key] for key in ("author", "year", "title", "url", "journal") if key in entry]
    paper = re.search(r"https?://arxiv\.org/abs/[\d.]+\d", text)
    return licence, "; ".join(told) or (paper[0] if paper else None)

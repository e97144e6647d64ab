"""Making a network from the factory and the weights that its spec names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import pickle
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from unitdb.activations.foreign import as_model_error
from unitdb.activations.models import ModelSpec, NamedNetwork
from unitdb.errors import ModelError, closest
from unitdb.reads import note_read

__all__ = ["at_rest", "factory_file_sha256", "make_network", "weights_sha256"]

_CHECKPOINTING = ("grad_checkpointing", "gradient_checkpointing")  # timm; transformers
# What torch.load raises where a file is something else depends on its first bytes.
_UNREADABLE = (
    OSError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    pickle.UnpicklingError,
)


def make_network(
    spec: ModelSpec, *, folder: Path | None, seed: int, data: Path | None = None
) -> nn.Module:
    """Call the factory and load the weights; the network is in evaluation mode, on the CPU.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    folder : Path or None
        What files in the spec are relative to.
    seed : int
        Seed of torch while the factory runs; torch's random state is restored afterwards.
    data : Path, optional
        Data folder, which downloaded weights are in.

    Raises
    ------
    ModelError
        The factory or the weights are missing, or do not make the network.
    """
    factory = _find_factory(spec, folder)
    try:
        options = {**spec.factory_options, **_downloaded(spec, data)}
        inspect.signature(factory).bind(**options)
    except (TypeError, ValueError) as cause:  # a builtin may have no signature
        raise ModelError(
            f"model {spec.name!r}: factory_options of {spec.factory}: {cause}"
        ) from None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        with as_model_error(f"model {spec.name!r}: factory {spec.factory}"):
            network = factory(**options)
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"model {spec.name!r}: {spec.factory} must return a torch.nn.Module, "
            f"not {type(network).__name__}"
        )
    if spec.weights is not None:
        _load_weights(network, _resolve(spec, spec.weights, folder), spec)
    with as_model_error(f"model {spec.name!r}: the network cannot be put into evaluation mode"):
        return at_rest(network.float() if spec.cast else network)


def at_rest(network: nn.Module) -> nn.Module:
    """Put a network on the CPU, into evaluation mode, and its gradient checkpointing off.

    With checkpointing a block runs again in a backward pass: a hook would see it twice.
    """
    for module in network.modules():
        for name in _CHECKPOINTING:
            if getattr(module, name, False) is True:
                setattr(module, name, False)
    return network.cpu().eval()


def _downloaded(spec: ModelSpec, data: Path | None) -> dict[str, str]:
    if not isinstance(spec, NamedNetwork) or spec.download is None:
        return {}
    from unitdb.activations.networks.weights import kept_weights

    return {"file": str(kept_weights(spec, data=data))}


def factory_file_sha256(spec: ModelSpec, *, folder: Path | None) -> str | None:
    """SHA-256 (hex) of the factory's file; None where the factory is in an installed package."""
    place, _ = _split(spec)
    if not place.endswith(".py"):
        return None
    return hashlib.sha256(_resolve(spec, place, folder).read_bytes()).hexdigest()


def weights_sha256(network: nn.Module) -> str:
    """SHA-256 (hex) of names, types, shapes and values of all parameters and buffers.

    Raises
    ------
    ModelError
        The state of the network holds something else than tensors.
    """
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if not isinstance(value, torch.Tensor):
            raise ModelError(f"the network's state {name!r} is {type(value).__name__}, no tensor")
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        # numpy has no bfloat16: hash the bytes.
        values = value.detach().cpu().reshape(-1).contiguous()
        digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _split(spec: ModelSpec) -> tuple[str, str]:
    place, _, attribute = spec.factory.partition(":")
    return place, attribute


def _find_factory(spec: ModelSpec, folder: Path | None) -> Any:
    place, attribute = _split(spec)
    path = _resolve(spec, place, folder) if place.endswith(".py") else None
    with as_model_error(f"model {spec.name!r}: factory {spec.factory} cannot be imported"):
        module = _import_file(path) if path else importlib.import_module(place)
    factory = getattr(module, attribute, None)
    if not callable(factory):
        names = [name for name, value in vars(module).items() if callable(value)]
        near = closest(attribute, names)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ModelError(f"model {spec.name!r}: {place} has no callable {attribute!r}{hint}")
    return factory


class _SourceLoader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> Any:  # noqa: ARG002
        # What was hashed is what runs: no __pycache__, which may be stale, beside the recipe.
        return self.source_to_code(self.get_data(self.path), self.path)


def _import_file(path: Path) -> ModuleType:
    name = f"unitdb_factory_{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(
        name, path, loader=_SourceLoader(name, str(path.resolve()))
    )
    if spec is None or spec.loader is None:
        raise ModelError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


def _resolve(spec: ModelSpec, path: str, folder: Path | None) -> Path:
    if folder is None:
        raise ModelError(f"model {spec.name!r} names the file {path!r}, but no folder is given")
    resolved = folder / path
    note_read(resolved)
    if not resolved.is_file():
        raise ModelError(f"model {spec.name!r}: {resolved}: no such file")
    return resolved


def _load_weights(network: nn.Module, path: Path, spec: ModelSpec) -> None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as cause:
        raise ModelError(f"model {spec.name!r}: {path}: not a state_dict: {cause}") from None
    if not isinstance(state, dict):
        raise ModelError(f"model {spec.name!r}: {path}: a {type(state).__name__}, no state_dict")
    try:
        network.load_state_dict(state)
    except RuntimeError as cause:
        raise ModelError(
            f"model {spec.name!r}: {path}: {_hint(network, state)}{' '.join(str(cause).split())}"
        ) from None


def _hint(network: nn.Module, state: dict[Any, Any]) -> str:
    """What the file most likely is, where its names are those of the network but for a wrapping."""
    names = {str(key) for key in state}
    own = set(network.state_dict())
    if names and all(name.startswith("module.") for name in names):
        return (
            "all names begin with 'module.' (saved from DataParallel): save "
            "network.module.state_dict(); "
        )
    inner = [key for key, value in state.items() if isinstance(value, dict) and own & set(value)]
    if inner:
        return f"the state_dict is under the key {inner[0]!r} of the file: save that alone; "
    return ""

"""Weights in Caffe's own files (``.caffemodel``), read without Caffe.

They are a message of protocol buffers, of which four kinds are declared here with the fields that
weights stand in (https://github.com/BVLC/caffe, src/caffe/proto/caffe.proto).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from unitdb.errors import MissingExtraError, ModelError
from unitdb.extras import install_hint

__all__ = ["caffe_state", "read_caffemodel"]

# Message → field → (number, type, repeated). The data of a blob are packed numbers of four bytes:
# declared as bytes, which lie in a file alike, they are not made into a list of Python's numbers.
_MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "Shape": {"dim": (1, "int64", True)},
    "Blob": {
        **{name: (n, "int32", False) for n, name in enumerate(("n", "c", "h", "w"), 1)},
        "data": (5, "bytes", False),
        "shape": (7, "Shape", False),
    },
    "Layer": {"name": (1, "bytes", False), "blobs": (7, "Blob", True)},
    "OldLayer": {"name": (4, "bytes", False), "blobs": (6, "Blob", True)},
    "Net": {"layers": (2, "OldLayer", True), "layer": (100, "Layer", True)},
}


def read_caffemodel(file: str) -> dict[str, list[torch.Tensor]]:
    """Weights and biases of each layer that has any, by the layer's name; nothing is run.

    Parameters
    ----------
    file : str
        In the format of 2014 (``layers``) or of today (``layer``).

    Returns
    -------
    dict of str to list of tensor
        float32, in the shapes that the file states.

    Raises
    ------
    ModelError
        The file is none of Caffe, or a blob has other numbers than its shape states.
    MissingExtraError
        protobuf is not installed.
    """
    net = _net()
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - as of torch.load
            net.ParseFromString(opened.read())
    except OSError as cause:
        raise ModelError(f"{file}: cannot be read: {cause}") from None
    except Exception as cause:  # protobuf's DecodeError, which only it knows
        raise ModelError(f"{file}: not a file of Caffe: {' '.join(str(cause).split())}") from None
    found = {
        layer.name.decode(errors="replace"): [
            _tensor(blob, where=f"{file}: layer {layer.name.decode(errors='replace')!r}")
            for blob in layer.blobs
        ]
        for layer in (*net.layers, *net.layer)
        if layer.blobs
    }
    if not found:
        raise ModelError(f"{file}: not a file of Caffe with weights: no layer has any")
    return found


def caffe_state(network: nn.Module, file: str, paths: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """State of a network of torch from the weights of the same network of Caffe.

    Parameters
    ----------
    network : torch.nn.Module
        Which the weights must fit.
    file : str
        Of Caffe.
    paths : mapping of str to str
        Layer of Caffe → module, one with ``weight`` and ``bias``.

    Returns
    -------
    dict of str to tensor
        For ``load_state_dict``.

    Raises
    ------
    ModelError
        A layer is missing, or its weights have another shape than the module's.
    """
    given, state = read_caffemodel(file), dict[str, torch.Tensor]()
    for layer, path in paths.items():
        if len(given.get(layer, ())) != 2:
            there = ", ".join(given)
            raise ModelError(f"{file}: no weights and biases of layer {layer!r}; there is: {there}")
        module = network.get_submodule(path)
        for name, value in zip(("weight", "bias"), given[layer], strict=True):
            wanted = getattr(module, name)
            if _plain(value.shape) != _plain(wanted.shape):
                raise ModelError(
                    f"{file}: {name} of layer {layer!r} has shape {tuple(value.shape)}, not "
                    f"{tuple(wanted.shape)}"
                )
            state[f"{path}.{name}"] = value.reshape(wanted.shape)
    return state


def _plain(shape: torch.Size) -> list[int]:
    """Without axes of one: old files state four of all."""
    return [length for length in shape if length != 1]


def _tensor(blob: Any, *, where: str) -> torch.Tensor:
    stated = list(blob.shape.dim) if blob.HasField("shape") else [blob.n, blob.c, blob.h, blob.w]
    values = np.frombuffer(blob.data, "<f4") if len(blob.data) % 4 == 0 else np.empty(0)
    if min(stated, default=1) < 0 or math.prod(stated) != len(values) or not len(values):
        raise ModelError(
            f"{where}: {len(blob.data)} bytes of weights in a shape of {'×'.join(map(str, stated))}"
        )
    return torch.from_numpy(values.astype(np.float32)).reshape(stated)


def _net() -> Any:
    """An empty message of a network."""
    try:
        return _classes()()
    except ImportError:
        raise MissingExtraError(
            f"weights in files of Caffe need protobuf: {install_hint('bdpy')}"
        ) from None


@cache
def _classes() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="unitdb_caffe.proto", package="unitdb.caffe", syntax="proto2"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for message, members in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind, repeated) in members.items():
            field = declared.field.add(
                name=name,
                number=number,
                label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL,
            )
            if kind in _MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".unitdb.caffe.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("unitdb.caffe.Net"))

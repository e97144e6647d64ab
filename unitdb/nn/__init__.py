"""Units in torch: chosen activations, pruning, alignment, readouts, the pictures that drive a unit.

Imported explicitly, ``from unitdb import nn``, with the extra ``torch``: ``import unitdb`` does not
load torch.
"""

from __future__ import annotations

import importlib.util

from unitdb.errors import MissingExtraError

for _package in ("torch", "PIL"):
    if importlib.util.find_spec(_package) is None:
        raise MissingExtraError(f"unitdb.nn needs {_package}: pip install 'unitdb[torch]'")

from unitdb.nn.alignment import AlignmentLoss  # noqa: E402
from unitdb.nn.cost import count_flops, count_parameters  # noqa: E402
from unitdb.nn.exciting import most_exciting_images  # noqa: E402
from unitdb.nn.pruning import PrunedLayer, PruneReport, prune  # noqa: E402
from unitdb.nn.readout import brain_readout  # noqa: E402
from unitdb.nn.selected import SelectedActivations  # noqa: E402
from unitdb.nn.transform import Transform, published_transform  # noqa: E402

__all__ = [
    "AlignmentLoss",
    "PruneReport",
    "PrunedLayer",
    "SelectedActivations",
    "Transform",
    "brain_readout",
    "count_flops",
    "count_parameters",
    "most_exciting_images",
    "prune",
    "published_transform",
]

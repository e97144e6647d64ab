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

from unitdb.nn.selected import SelectedActivations  # noqa: E402

__all__ = [
    "SelectedActivations",
]

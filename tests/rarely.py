"""Cases of a test that take seconds, and that are like another which every run has."""

from __future__ import annotations

from typing import Any

import pytest


def rarely(*values: Any) -> Any:
    """Values of a parametrised test for the slow runs alone."""
    return pytest.param(*values, marks=pytest.mark.slow)

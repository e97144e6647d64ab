"""Volumes of a run that a sample is of: the block of a presentation, or one at a time."""

from __future__ import annotations

import math

__all__ = ["block_of", "volume_at"]

_ROUNDING = 1e-6  # of a volume: what the division of two decimal times may be off


def block_of(onset: float, duration: float, seconds: float) -> slice:
    """Volumes of a presentation, counted from the run's first; may lie beyond the run.

    From round(onset / TR) on, as many as round(duration / TR), at least one; halves are rounded up.

    Parameters
    ----------
    onset : float
        Seconds after the first volume, the delay of the response included.
    duration : float
        Seconds.
    seconds : float
        TR, the repetition time.
    """
    first = volume_at(onset, seconds)
    return slice(first, first + max(1, math.floor(duration / seconds + 0.5 + _ROUNDING)))


def volume_at(time: float, seconds: float) -> int:
    """Volume that is measured from a time on: round(time / TR)."""
    # Half up, not to the even neighbour: blocks half a volume off would be early and late by turns.
    return math.floor(time / seconds + 0.5 + _ROUNDING)

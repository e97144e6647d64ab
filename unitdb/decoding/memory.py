"""How many units fit into a memory budget."""

from __future__ import annotations

from unitdb.decoding.settings import AT_ONCE, TILE, DecoderSettings
from unitdb.errors import MemoryBudgetError

__all__ = ["block_units"]

_PROGRAM = 350_000_000
"""Bytes of Python with its libraries (measured: 250 to 320 MB)."""

_MOST_SELECTED, _MOST_SHARED = 16 * TILE, 64 * TILE
"""Units of a block at the most: seconds of work, which is what a killed worker loses."""


def block_units(
    memory: int,
    *,
    n_stimuli: int,
    n_rows: int,
    n_voxels: int,
    n_splits: int,
    settings: DecoderSettings,
    n_controls: int = 0,
    n_sets: int = 1,
    n_presentations: int = 0,
    n_stored: int = 0,
) -> int:
    """Choose the number of units to decode at a time, a multiple of :data:`TILE`.

    Results do not depend on it.

    Parameters
    ----------
    memory : int
        Bytes that the process may use for one thread.
    n_stimuli : int
        Rows of the stored activations.
    n_rows, n_voxels : int
        Shape of the responses.
    n_splits : int
        Pairs of training and held-out rows; each has statistics of its own.
    settings : DecoderSettings
    n_controls : int
        Accuracies of each unit besides the true one.
    n_sets : int
        Test sets, whose accuracies are held side by side.
    n_presentations : int
        Single presentations that are predicted too, over all held-out images.
    n_stored : int
        Held-out rows whose predictions are stored.

    Raises
    ------
    MemoryBudgetError
        Too little for one tile of units; says how much is needed.
    """
    selects = settings.n_voxels is not None and settings.n_voxels < n_voxels
    fixed = _PROGRAM + 8 * n_rows * n_voxels
    # Their responses, raw and normalised; their predictions as they come, sorted and in halves.
    fixed += n_presentations * (28 * n_voxels + 40 * TILE)
    if selects:
        # Responses in both precisions, and the Gram matrix with what making it takes.
        fixed += n_splits * (20 * n_rows * n_voxels + 4 * min(n_voxels, n_rows) ** 2)
        fixed += n_splits * 8 * n_voxels**2 + 16 * n_voxels**2
        fixed += TILE * (24 * n_voxels + 32 * n_rows)
    else:
        fixed += 8 * n_rows * (2 * n_voxels + 3 * n_rows + n_presentations)
        fixed += 48 * AT_ONCE  # activations and predictions, as they are and about their means
    of_unit = 4 * (n_stimuli + n_rows + n_controls) + 16
    of_unit += (4 * n_controls + 16) * (n_sets - 1)
    of_unit += 20 * n_stored  # as they come, in order, and as they are written
    tiles = (memory - fixed) // (of_unit * TILE)
    if tiles < 1:
        raise MemoryBudgetError(
            f"{memory / 1e6:,.0f} MB for a thread are too little for {n_voxels:,} voxels × "
            f"{n_rows:,} samples: {(fixed + of_unit * TILE) / 1e6:,.0f} MB are needed"
        )
    return min(TILE * tiles, _MOST_SELECTED if selects else _MOST_SHARED)

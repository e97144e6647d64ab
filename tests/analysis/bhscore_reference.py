"""The published computation of the BH score, formula by formula, and the corrected one.

After Nonaka, Majima, Aoki & Kamitani 2021 and the code that they published with it. Slow on
purpose: everything is computed again in every draw, as there.
"""

import numpy as np
import scipy.stats


def published_tops(r, n_stimuli):
    """Best region of the units that count."""
    filled = np.where(np.isnan(r), np.zeros_like(r), r)
    highest = filled.max(axis=0)
    t = highest * np.sqrt((n_stimuli - 2) * (1 - highest**2))
    p = 2 * (1 - scipy.stats.t.cdf(t, df=n_stimuli - 2))
    return filled.argmax(axis=0)[(p < 0.05) & (highest > 0)]


def spearman(layers_of_tops):
    layer = [number for number, tops in enumerate(layers_of_tops, start=1) for _ in tops]
    top = [best for tops in layers_of_tops for best in tops]
    return scipy.stats.spearmanr(layer, top).statistic


def published(accuracies, *, n_stimuli=50, n_layers=5, n_repeats=100, seed=0):
    """BH score of each draw; the generator is numpy's global one, seeded first."""
    np.random.seed(seed)  # noqa: NPY002
    between = np.arange(1, len(accuracies) - 1)
    scores = []
    for _ in range(n_repeats):
        drawn = np.random.choice(between, size=n_layers - 2, replace=False)  # noqa: NPY002
        chosen = [accuracies[0], *(accuracies[i] for i in np.sort(drawn)), accuracies[-1]]
        scores.append(spearman([published_tops(r, n_stimuli) for r in chosen]))
    return np.array(scores)


def corrected_choices(unit, n_stimuli):
    """Regions that may be the best one of a unit, by a loop; none where it is not significant."""
    known = {roi: r for roi, r in enumerate(unit) if not np.isnan(r)}
    highest = max(known.values(), default=0)
    if highest <= 0:
        return []
    t = np.inf if highest >= 1 else highest * np.sqrt((n_stimuli - 2) / (1 - highest**2))
    p = 2 * scipy.stats.t.sf(t, n_stimuli - 2) * len(known)
    return [roi for roi, r in known.items() if r == highest] if p < 0.05 else []

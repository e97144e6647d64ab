"""p among controls, control by control."""

import numpy as np


def studentised(r, others):
    others = others[~np.isnan(others)]
    if len(others) < 2 or np.ptp(others) == 0:
        return np.nan
    return (r - others.mean()) / (others.std(ddof=1) * np.sqrt(1 + 1 / len(others)))


def p_by_loop(r, null):
    pool = []
    for unit in null.T:
        known = unit[~np.isnan(unit)]
        if len(known) >= 3:
            pool += [studentised(x, np.delete(known, i)) for i, x in enumerate(known)]
    pool = np.array(pool)
    pool = pool[~np.isnan(pool)]
    found = []
    for value, unit in zip(r, null.T, strict=True):
        enough = (~np.isnan(unit)).sum() >= 3
        z = studentised(value, unit) if enough else np.nan
        found.append(np.nan if np.isnan(z) else (1 + (pool >= z).sum()) / (1 + len(pool)))
    return np.array(found)

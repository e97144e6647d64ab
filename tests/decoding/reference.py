"""The published protocol, unit by unit and as slowly as it reads."""

import numpy as np
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge


def reference_predictions(x, y, splits, *, n_voxels, alpha, alpha_relative=False, zscore=True):
    """Held-out predictions (n_test, n_units), one unit and one fold at a time."""
    predictions = []
    for train, test in splits:
        mean = x[train].mean(axis=0)
        scale = np.ones(x.shape[1])
        if zscore:
            scale = x[train].std(axis=0, ddof=1)
            scale[scale == 0] = 1
        x_train, x_test = (x[train] - mean) / scale, (x[test] - mean) / scale
        fold = np.empty((len(test), y.shape[1]))
        for unit in range(y.shape[1]):
            y_mean, y_sd = y[train, unit].mean(), y[train, unit].std(ddof=1)
            z = (y[train, unit] - y_mean) / y_sd
            kept = np.arange(x.shape[1])
            if n_voxels is not None and n_voxels < x.shape[1]:
                r = [0 if np.ptp(v) == 0 else abs(pearsonr(v, z).statistic) for v in x_train.T]
                kept = np.sort(np.lexsort((kept, -np.array(r)))[:n_voxels])
            penalty = alpha
            if alpha_relative:
                penalty = alpha * np.linalg.eigvalsh(x_train @ x_train.T).mean()
            ridge = Ridge(alpha=penalty, fit_intercept=False, solver="cholesky")
            ridge.fit(x_train[:, kept], z)
            fold[:, unit] = ridge.predict(x_test[:, kept]) * y_sd + y_mean
        predictions.append(fold)
    return np.concatenate(predictions)


def reference_accuracy(x, y, splits, **settings):
    """Pearson r of held-out predictions and true activations, one unit at a time."""
    predicted = reference_predictions(x, y, splits, **settings)
    true = y[np.concatenate([test for _, test in splits])]
    return np.array([pearsonr(p, t).statistic for p, t in zip(predicted.T, true.T, strict=True)])

from __future__ import annotations

import numpy as np

from emoflow.studies.cluster_shapes import clusterings, dtw_matrix


def test_barycentres_are_the_planted_shapes_wherever_they_lie() -> None:
    rng = np.random.default_rng(0)
    time = np.linspace(0, 1, 24)
    truth = np.repeat([0, 1], [9, 6])
    shifts = rng.uniform(0.3, 0.6, 15)
    bumps = np.exp(-(((time - shifts[:, None]) / 0.08) ** 2))
    series = np.where(truth[:, None] == 0, bumps, 1 - bumps) + rng.normal(0, 0.02, (15, 24))
    (found,) = clusterings(series, dtw_matrix(series), [2], rng, "kmeans")
    assert (found.labels == truth).all()
    up, down = found.centres
    assert up.max() > 0.9 > 0.1 > up[0]  # a plain mean would have flattened them
    assert down.min() < 0.1 < 0.9 < down[0]
    assert found.silhouette > 0.8
    assert found.davies_bouldin < 0.3
    own = dtw_matrix(series, found.centres)
    for k in (0, 1):  # no series of a cluster is a better middle than its barycentre
        inside = dtw_matrix(series[truth == k])
        assert (own[truth == k, k] ** 2).sum() <= (inside**2).sum(axis=0).min() + 1e-9

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import davies_bouldin_score, silhouette_samples

from emoflow.studies.cluster_shapes import (
    best_of,
    clusterings,
    davies_bouldin,
    dtw_matrix,
    k_medoids,
    structure,
    walk,
)


def reference(first: NDArray, second: NDArray, band: int | None = None) -> float:
    """One cell at a time."""
    table = np.full((len(first) + 1, len(second) + 1), np.inf)
    table[0, 0] = 0
    for i, j in itertools.product(range(len(first)), range(len(second))):
        if band is None or abs(i - j) <= band:
            least = min(table[i, j], table[i, j + 1], table[i + 1, j])
            table[i + 1, j + 1] = (first[i] - second[j]) ** 2 + least
    return float(np.sqrt(table[-1, -1]))


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("band", [None, 0, 1, 2, 5])
def test_dtw_is_the_cheapest_path(steps: int, band: int | None) -> None:
    rng = np.random.default_rng(steps)
    first, second = rng.normal(size=(2, 9, steps)).cumsum(axis=2)
    expected = [[reference(a, b, band) for b in second] for a in first]
    np.testing.assert_allclose(dtw_matrix(first, second, band), expected, rtol=1e-9)


def test_a_band_of_nothing_is_euclid_and_a_wide_one_is_none() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 40, 10))
    apart = np.linalg.norm(first[:, None] - second, axis=2)
    np.testing.assert_allclose(dtw_matrix(first, second, 0), apart)
    np.testing.assert_array_equal(dtw_matrix(first, second, 9), dtw_matrix(first, second))
    assert np.all(dtw_matrix(first, second) <= dtw_matrix(first, second, 3))


def test_a_matrix_is_symmetric() -> None:
    rng = np.random.default_rng(1)
    series = rng.normal(size=(60, 5))
    matrix = dtw_matrix(series)
    assert np.array_equal(matrix, matrix.T)
    assert not matrix.diagonal().any()
    for i, j in rng.integers(60, size=(30, 2)):
        assert matrix[i, j] == pytest.approx(reference(series[i], series[j]))
    np.testing.assert_allclose(dtw_matrix(series, series[:7]), matrix[:, :7], atol=1e-12)


def test_dtw_forgives_what_comes_later() -> None:
    time = np.arange(30)
    early, late = (np.exp(-0.5 * ((time - at) / 2.0) ** 2) for at in (8, 18))
    assert dtw_matrix(early[None], late[None])[0, 0] < 0.01 < 1 < np.linalg.norm(early - late)


def test_medoids_are_the_best_there_are() -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(18, 2))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    for k in (2, 3):
        labels, medoids = k_medoids(distances, k, rng, starts=30)
        every = itertools.combinations(range(len(points)), k)
        least = min(distances[:, list(some)].min(axis=1).sum() for some in every)
        assert distances[:, medoids].min(axis=1).sum() == pytest.approx(least)
        np.testing.assert_array_equal(labels, distances[:, medoids].argmin(axis=1))


def test_equal_series_do_not_make_clusters() -> None:
    series = np.repeat(np.array([[0.0, 1, 0], [1, 0, 1]]), 5, axis=0)
    found = clusterings(series, dtw_matrix(series), [2, 3, 4], np.random.default_rng(0))
    assert [one.k for one in found] == [2]
    assert found[0].silhouette == 1
    assert found[0].davies_bouldin == 0


def test_clusters_are_found_again_largest_first() -> None:
    rng = np.random.default_rng(3)
    time = np.linspace(0, 1, 16)
    truth = np.repeat([0, 1, 2], [30, 20, 10])[rng.permutation(60)]
    shapes = np.stack([time, 1 - time, np.sin(np.pi * time)])
    series = shapes[truth] + rng.normal(0, 0.05, (60, 16))
    distances = dtw_matrix(series)
    found = clusterings(series, distances, [2, 3, 4, 5], rng)
    best = best_of(found)
    np.testing.assert_array_equal(best.labels, truth)
    np.testing.assert_allclose(best.centres, shapes, atol=0.25)
    expected = silhouette_samples(distances, truth, metric="precomputed")
    np.testing.assert_allclose(best.silhouettes, expected)
    for one in found:
        assert list(np.bincount(one.labels)) == sorted(np.bincount(one.labels), reverse=True)


def test_davies_bouldin_where_warping_does_nothing() -> None:
    """Series of one step have no time to warp: DTW is Euclid, sklearn's own distance."""
    rng = np.random.default_rng(4)
    for k in (2, 3, 5):
        values = rng.normal(size=(40, 1))
        labels = rng.permutation(np.arange(40) % k)
        centres = np.stack([values[labels == n].mean(axis=0) for n in range(k)])
        own, apart = dtw_matrix(values, centres), dtw_matrix(centres)
        expected = davies_bouldin_score(values, labels)
        assert davies_bouldin(labels, own, apart) == pytest.approx(expected)


def test_davies_bouldin_by_hand() -> None:
    own = np.array([[1.0, 9], [3, 9], [9, 1], [9, 1]])
    assert davies_bouldin(np.array([0, 0, 1, 1]), own, np.array([[0.0, 6], [6, 0]])) == 0.5


def test_a_walk_has_the_series_steps() -> None:
    rng = np.random.default_rng(5)
    series = rng.normal(size=20).cumsum()
    walked = walk(series, rng)
    assert (walked[0], walked[-1]) == pytest.approx((series[0], series[-1]))
    np.testing.assert_allclose(np.sort(np.diff(walked)), np.sort(np.diff(series)))
    assert not np.allclose(walked, series)


def test_random_walks_have_no_structure_of_their_own() -> None:
    """Their p is that of a fair die, however well they cluster."""
    rng = np.random.default_rng(6)

    def ready(raw: list[NDArray]) -> NDArray:
        stack = np.array(raw)
        low = stack.min(axis=1, keepdims=True)
        return (stack - low) / np.ptp(stack, axis=1)[:, None]

    found = [
        structure(list(rng.normal(size=(24, 8)).cumsum(axis=1)), ready, [2, 3], rng, walks=19)
        for _ in range(14)
    ]
    p = np.array([one.p for one in found])
    assert np.mean([one.silhouette for one in found]) > 0.3
    assert set(np.round(p * 20)) <= set(range(1, 21))
    assert 0.3 < p.mean() < 0.7
    assert np.count_nonzero(p <= 0.05) <= 3

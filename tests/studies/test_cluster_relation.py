from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway, kstest
from scipy.stats.contingency import association, expected_freq

from emoflow.studies.cluster_relation import (
    cramers_v,
    emotion_relation,
    residuals,
    value_relation,
)

ONE = np.zeros(60, np.int64)


def test_cramers_v_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for shape in ((2, 2), (3, 5), (10, 7), (4, 2)):
        counts = rng.integers(0, 30, shape) + 1
        expected = association(counts, method="cramer")
        assert cramers_v(counts, corrected=False) == pytest.approx(expected)


def test_the_correction_for_bias() -> None:
    """Bergsma (2013): phi² less its mean without a relation, over sizes corrected alike."""
    counts = np.array([[20, 5, 9], [3, 18, 8]])
    n, (r, c) = counts.sum(), counts.shape
    phi = association(counts, method="cramer") ** 2 * (min(r, c) - 1)
    less = max(0, phi - (r - 1) * (c - 1) / (n - 1))
    most = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    assert cramers_v(counts) == pytest.approx(np.sqrt(less / most))


def test_v_of_no_relation_and_of_a_perfect_one() -> None:
    assert cramers_v(np.array([[10, 20], [30, 60]])) == 0
    assert cramers_v(np.array([[40, 0], [0, 40]])) == pytest.approx(1)
    assert cramers_v(np.array([[40, 0, 0], [0, 40, 0]])) == pytest.approx(1)  # an empty column
    assert cramers_v(np.array([[40, 3]])) == 0
    rng = np.random.default_rng(1)
    tables = [rng.multinomial(60, [1 / 20] * 20).reshape(4, 5) for _ in range(300)]
    assert np.mean([cramers_v(t, corrected=False) for t in tables]) > 0.2
    assert np.mean([cramers_v(t) for t in tables]) < 0.1


def test_residuals() -> None:
    counts = np.array([[30, 10], [10, 50]])
    expected = expected_freq(counts)
    chi_square = np.sum((counts - expected) ** 2 / expected)
    # Of a table of two by two, every squared residual is chi squared.
    np.testing.assert_allclose(residuals(counts) ** 2, chi_square)
    assert (np.sign(residuals(counts)) == [[1, -1], [-1, 1]]).all()


def test_p_is_uniform_without_a_relation() -> None:
    rng = np.random.default_rng(2)
    speakers = np.repeat(np.arange(6), 10)
    emotion_p, value_p = [], []
    for _ in range(60):
        clusters = [rng.integers(k, size=60) for k in (2, 3, 4)]
        emotion = rng.choice(4, size=60, p=[0.6, 0.2, 0.1, 0.1])
        emotion_p.append(emotion_relation(clusters, emotion, speakers, 199, rng).p)
        value_p.append(value_relation(clusters, rng.normal(size=60), speakers, 199, rng).p)
    for p in (emotion_p, value_p):
        assert kstest(p, "uniform").pvalue > 0.05
        assert min(p) >= 1 / 200


def test_a_relation_is_found_at_any_number_of_clusters() -> None:
    rng = np.random.default_rng(3)
    emotion = rng.integers(3, size=60)
    clusters = [rng.integers(2, size=60), emotion, rng.integers(5, size=60)]
    found = emotion_relation(clusters, emotion, ONE, 199, rng)
    assert found.p == 1 / 200
    assert (found.place, found.largest) == (1, pytest.approx(1))
    counts = np.zeros((5, 3), int)
    np.add.at(counts, (clusters[2], emotion), 1)
    assert found.sizes[2] == pytest.approx(cramers_v(counts))
    assert 0.1 < found.needed < 0.6


def test_what_speakers_bring_along_is_no_relation() -> None:
    """Each speaker has a cluster, an emotion and an arousal of their own."""
    rng = np.random.default_rng(4)
    speakers = np.repeat(np.arange(10), 6)
    clusters, emotion = [speakers % 2], speakers % 2
    found = emotion_relation(clusters, emotion, speakers, 199, rng)
    assert (found.largest, found.p, found.movable) == (pytest.approx(1), 1, 0)
    assert emotion_relation(clusters, emotion, ONE, 199, rng).p == 1 / 200

    mostly = np.where(rng.random(60) < 0.8, emotion, 1 - emotion)  # with some of the other
    p = emotion_relation([np.where(rng.random(60) < 0.8, emotion, 1 - emotion)], mostly, speakers,
                         199, rng).p  # fmt: skip
    assert p > 0.05
    arousal = emotion + rng.normal(0, 0.1, 60)
    assert value_relation(clusters, arousal, ONE, 199, rng).p == 1 / 200
    assert value_relation(clusters, arousal, speakers, 199, rng).p == 1


def test_what_differs_within_speakers_is_one() -> None:
    rng = np.random.default_rng(5)
    speakers = np.repeat(np.arange(10), 6)
    emotion = rng.integers(2, size=60)
    flipped = np.where(speakers % 2, emotion, 1 - emotion)  # nothing within all, all within each
    clusters = [np.where(rng.random(60) < 0.9, emotion, 1 - emotion)]
    assert emotion_relation(clusters, emotion, speakers, 199, rng).p == 1 / 200
    assert emotion_relation(clusters, flipped, ONE, 199, rng).p > 0.05


def test_the_correlation_ratio_is_that_of_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(6)
    clusters = rng.integers(3, size=60)
    values = clusters * 0.7 + rng.normal(size=60)
    f = f_oneway(*(values[clusters == k] for k in range(3))).statistic
    epsilon = (f - 1) * 2 / (f * 2 + 57)  # eta² less its bias, from F with 2 and 57 degrees
    found = value_relation([clusters], values, ONE, 199, rng)
    assert found.sizes[0] == pytest.approx(np.sqrt(epsilon))

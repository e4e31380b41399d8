from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoflow.studies.agreement import fleiss_kappa, krippendorff_alpha, rating_counts

# Ten subjects, fourteen raters, five categories: a worked example of Fleiss' kappa (.210).
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ],
    dtype=float,
)

# Krippendorff's own example with missing values: 4 raters, 12 units, values 1 to 5
# ("Computing Krippendorff's alpha-reliability", 2011, section E): nominal .743, interval .849.
KRIPPENDORFF = [
    [1, 1, None, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [None, 5, 5, 5],
    [None, None, 1, 1],
    [None, None, 3, None],
]


def test_published_examples() -> None:
    assert fleiss_kappa(FLEISS) == pytest.approx(0.210, abs=5e-4)
    values = [1, 2, 3, 4, 5]
    counts = rating_counts(KRIPPENDORFF, values)
    assert counts.sum() == 41
    assert krippendorff_alpha(counts) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(counts, values) == pytest.approx(0.849, abs=5e-4)


def test_what_is_undefined_is_nan() -> None:
    assert np.isnan(fleiss_kappa(np.zeros((3, 2))))
    assert np.isnan(fleiss_kappa(np.array([[1.0, 0], [0, 1]])))  # one rater each
    assert np.isnan(fleiss_kappa(np.array([[2.0, 0], [3, 0]])))  # only one name is used
    assert np.isnan(krippendorff_alpha(np.array([[2.0, 0], [3, 0]]), [1, 2]))
    assert np.isnan(krippendorff_alpha(np.zeros((0, 2))))


def test_unknown_names_are_left_out() -> None:
    assert rating_counts([["a", "b", None], []], ["a"]).tolist() == [[1], [0]]


@given(
    st.integers(2, 6).flatmap(
        lambda raters: st.lists(
            st.lists(st.integers(0, 3), min_size=raters, max_size=raters), min_size=3, max_size=20
        )
    )
)
def test_alpha_of_names_follows_from_kappa_for_equally_many_raters(said: list[list[int]]) -> None:
    """With n ratings in all, alpha's chance is n / (n - 1) times that of kappa."""
    counts = rating_counts(said, [0, 1, 2, 3])
    kappa, alpha = fleiss_kappa(counts), krippendorff_alpha(counts)
    number = counts.sum()
    if np.isnan(kappa):
        assert np.isnan(alpha)
    else:
        assert 1 - alpha == pytest.approx((1 - kappa) * (number - 1) / number)
    shuffled = rating_counts([one[::-1] for one in said[::-1]], [0, 1, 2, 3])
    assert krippendorff_alpha(shuffled) == pytest.approx(alpha, nan_ok=True)


@given(st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=4), min_size=3, max_size=12))
def test_alpha_of_numbers_equals_its_definition_over_pairs(said: list[list[int]]) -> None:
    everything = [v for one in said for v in one]
    expected = np.mean(
        [(a - b) ** 2 for i, a in enumerate(everything) for j, b in enumerate(everything) if i != j]
    )
    observed = sum(
        (a - b) ** 2 / (len(one) - 1)
        for one in said
        for i, a in enumerate(one)
        for j, b in enumerate(one)
        if i != j
    ) / len(everything)
    alpha = krippendorff_alpha(rating_counts(said, range(5)), range(5))
    if expected == 0:
        assert np.isnan(alpha)
    else:
        assert alpha == pytest.approx(1 - observed / expected)

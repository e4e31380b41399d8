from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from emoflow.errors import ConfigError, EmoflowError
from emoflow.evaluation import (
    better,
    classification_metrics,
    confusion,
    per_class,
    regression_metrics,
    reliability,
)


def drawn(seed: int, count: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(classes, size=count)
    logits = random.normal(0, 1.5, (count, classes)) + 1.5 * np.eye(classes)[truth]
    shares = np.exp(logits)
    return truth, shares / shares.sum(1, keepdims=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 8))
def test_agrees_with_sklearn_and_torchmetrics(seed: int, count: int, classes: int) -> None:
    truth, shares = drawn(seed, count, classes)
    predicted = shares.argmax(1)
    found = classification_metrics(truth, shares)
    everything = {"labels": range(classes), "zero_division": 0}
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, predicted))
    present = {"labels": np.unique(truth), "zero_division": 0}
    assert found["uar"] == pytest.approx(
        sk.recall_score(truth, predicted, average="macro", **present)
    )
    assert found["macro_f1"] == pytest.approx(
        sk.f1_score(truth, predicted, average="macro", **everything)
    )
    assert found["weighted_f1"] == pytest.approx(
        sk.f1_score(truth, predicted, average="weighted", **everything)
    )
    expected = multiclass_calibration_error(
        torch.from_numpy(shares), torch.from_numpy(truth), classes, n_bins=15, norm="l1"
    )
    assert found["ece"] == pytest.approx(float(expected), abs=1e-6)


def test_uar_is_balanced_accuracy_when_a_class_is_predicted_but_absent() -> None:
    truth = [0, 0, 1, 1]
    shares = np.eye(4)[[0, 2, 1, 1]]
    found = classification_metrics(truth, shares)
    with pytest.warns(UserWarning, match="not in y_true"):
        expected = sk.balanced_accuracy_score(truth, shares.argmax(1))
    assert found["uar"] == pytest.approx(expected) == pytest.approx(0.75)


def test_macro_f1_counts_every_class() -> None:
    # Classes 2 and 3 are neither true nor predicted, and still two of four.
    found = classification_metrics([0, 1], np.eye(4)[[0, 1]])
    assert found["macro_f1"] == 0.5
    assert found["uar"] == found["accuracy"] == found["weighted_f1"] == 1.0


def test_unknown_truth_is_left_out() -> None:
    truth, shares = drawn(1, 50, 3)
    more = np.concatenate([truth, [-1, -1]])
    padded = np.concatenate([shares, np.eye(3)[[0, 1]]])
    assert classification_metrics(more, padded) == classification_metrics(truth, shares)
    assert confusion(more, padded.argmax(1), 3).sum() == 50


def test_calibration_closed_form() -> None:
    # Sure by 0.9 and right in half of the cases; by 0.6 and right in all.
    shares = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    truth = [0, 1, 0, 0]
    assert classification_metrics(truth, shares)["ece"] == pytest.approx((0.4 + 0.4) / 2)
    bins = reliability(truth, shares)
    assert [(b["utterances"], b["accuracy"]) for b in bins] == [(2, 1.0), (2, 0.5)]
    assert [b["confidence"] for b in bins] == pytest.approx([0.6, 0.9])
    assert classification_metrics([0], [[1.0, 0.0]])["ece"] == 0


def test_confusion_and_per_class_agree_with_sklearn() -> None:
    truth, shares = drawn(3, 200, 5)
    predicted = shares.argmax(1)
    matrix = confusion(truth, predicted, 5)
    assert (matrix == sk.confusion_matrix(truth, predicted)).all()
    precision, recall, f1, support = sk.precision_recall_fscore_support(truth, predicted)
    found = per_class(matrix, ["a", "b", "c", "d", "e"])
    assert [v["recall"] for v in found.values()] == pytest.approx(list(recall))
    assert [v["precision"] for v in found.values()] == pytest.approx(list(precision))
    assert [v["f1"] for v in found.values()] == pytest.approx(list(f1))
    assert [v["support"] for v in found.values()] == list(support)


def lin(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Lin's coefficient as printed in 1989, with 1/n moments."""
    covariance = ((truth - truth.mean()) * (predicted - predicted.mean())).mean()
    gap = (truth.mean() - predicted.mean()) ** 2
    return float(2 * covariance / (truth.var() + predicted.var() + gap))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 80), st.floats(-1e4, 1e4))
def test_regression_agrees_with_closed_forms(seed: int, count: int, offset: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.normal(offset, 1, count)
    predicted = 0.5 * (truth - offset) + offset + random.normal(0.2, 0.5, count)
    found = regression_metrics(truth, predicted, "arousal")
    assert found["rmse_arousal"] == pytest.approx(
        sk.root_mean_squared_error(truth, predicted), rel=1e-9
    )
    assert found["ccc_arousal"] == pytest.approx(lin(truth, predicted), abs=1e-9)


def test_ccc_uses_n_not_n_minus_one() -> None:
    truth, predicted = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])
    expected = 2 * (2 / 3) / (2 / 3 + 2 / 3 + 1)
    assert regression_metrics(truth, predicted, "x")["ccc_x"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("truth", "predicted"),
    [
        ([3.0], [3.0]),
        ([3.7] * 9, [3.7] * 9),
        ([1, 2, 3.3], [2.1] * 3),
        ([0.1] * 7, [1, 2] * 3 + [3]),
    ],
)
def test_ccc_is_zero_where_a_side_is_constant(truth: list[float], predicted: list[float]) -> None:
    assert regression_metrics(truth, predicted, "valence")["ccc_valence"] == 0


def test_unknown_values_are_left_out() -> None:
    known = regression_metrics([1, 2, 3], [1, 2, 4], "valence")
    assert regression_metrics([1, np.nan, 2, 3], [1, 9, 2, 4], "valence") == known


def test_better() -> None:
    assert {better(n) for n in ("uar", "val/macro_f1", "test/ccc_valence", "accuracy")} == {"max"}
    assert {better(n) for n in ("ece", "val/rmse_arousal", "val/loss")} == {"min"}
    with pytest.raises(ConfigError, match=r"no metric 'val/f2'[\s\S]*macro_f1"):
        better("val/f2")


def test_errors_say_what_to_do() -> None:
    with pytest.raises(EmoflowError, match=r"1 of 2 utterances[\s\S]*learning rate"):
        classification_metrics([0, 1], [[0.5, 0.5], [np.nan, 0.5]])
    with pytest.raises(EmoflowError, match=r"1 of 2 utterances[\s\S]*learning rate"):
        regression_metrics([0, 1], [0, np.inf], "arousal")
    with pytest.raises(EmoflowError, match="no utterance with a known label"):
        classification_metrics([-1], [[0.5, 0.5]])
    with pytest.raises(EmoflowError, match="no utterance with a known label"):
        regression_metrics([np.nan], [1.0], "arousal")
    with pytest.raises(EmoflowError, match=r"3 true values stand against 2"):
        regression_metrics([1, 2, 3], [1, 2], "arousal")
    with pytest.raises(EmoflowError, match=r"from 0 to 2, but there are 2 classes"):
        classification_metrics([0, 2], np.eye(2))
    with pytest.raises(EmoflowError, match=r"shape \(2,\)[\s\S]*\(utterance, class\)"):
        classification_metrics([0, 1], [0.5, 0.5])


def test_importing_is_light() -> None:
    code = (
        "import sys, emoflow.evaluation, emoflow.evaluation.metrics, emoflow.evaluation.results;"
        "assert not {'torch', 'matplotlib', 'pandas', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    import emoflow.evaluation as room

    assert all(getattr(room, name) is not None for name in room.__all__)
    assert set(room._HOME) == set(room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = room.nothing

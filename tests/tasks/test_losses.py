import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from emoflow.tasks.losses import ccc_loss, classification_loss, regression_loss


def _ccc(x: np.ndarray, y: np.ndarray) -> float:
    """Lin 1989 by its textbook form: from Pearson's r and the 1/n moments."""
    r = np.corrcoef(x, y)[0, 1]
    return float(2 * r * x.std() * y.std() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


@given(st.integers(0, 10_000), st.integers(3, 60))
@settings(max_examples=30, deadline=None)
def test_ccc_loss_is_one_minus_lins_coefficient(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.normal(size=n) + 0.5
    loss = ccc_loss(torch.from_numpy(x), torch.from_numpy(y))
    assert float(loss) == pytest.approx(1 - _ccc(x, y), abs=1e-5)


def test_ccc_loss_of_a_constant_prediction_is_one_and_finite() -> None:
    predicted = torch.full((8,), 2.0, requires_grad=True)
    loss = ccc_loss(predicted, torch.arange(8.0))
    loss.backward()
    assert float(loss) == pytest.approx(1.0)
    assert torch.isfinite(predicted.grad).all()


def test_regression_losses_agree_with_numpy() -> None:
    x, y = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.5, 2.0, 2.0])
    assert float(regression_loss(x, y, "rmse")) == pytest.approx(np.sqrt(4.25 / 3), abs=1e-5)
    assert float(regression_loss(x, y, "mse")) == pytest.approx(4.25 / 3)
    assert float(regression_loss(x, y, "mae")) == pytest.approx(2.5 / 3)


def test_rmse_loss_has_a_finite_slope_at_a_perfect_prediction() -> None:
    x = torch.ones(3, requires_grad=True)
    regression_loss(x, torch.ones(3), "rmse").backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_plain_cross_entropy_is_torchs(smoothing: float) -> None:
    logits, truth = torch.randn(20, 5), torch.randint(0, 5, (20,))
    ours = classification_loss(logits, truth, label_smoothing=smoothing)
    theirs = functional.cross_entropy(logits, truth, label_smoothing=smoothing)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_weighted_cross_entropy_is_torchs() -> None:
    logits, truth = torch.randn(20, 3), torch.randint(0, 3, (20,))
    weights = torch.tensor([0.2, 1.0, 3.0])
    ours = classification_loss(logits, truth, class_weights=weights)
    theirs = functional.cross_entropy(logits, truth, weight=weights)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_focal_loss_weighs_each_utterance_by_its_doubt() -> None:
    logits, truth = torch.randn(20, 4), torch.randint(0, 4, (20,))
    p = logits.softmax(-1)[torch.arange(20), truth]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    ours = classification_loss(logits, truth, focal_gamma=2.0)
    assert float(ours) == pytest.approx(float(expected), rel=1e-5)


def test_soft_labels_give_the_cross_entropy_with_the_votes() -> None:
    logits = torch.randn(6, 3)
    soft = torch.rand(6, 3).softmax(-1)
    ours = classification_loss(logits, torch.zeros(6, dtype=torch.long), soft=soft)
    assert float(ours) == pytest.approx(float(functional.cross_entropy(logits, soft)), rel=1e-5)


def test_unknown_truths_are_left_out() -> None:
    logits = torch.randn(4, 3)
    truth = torch.tensor([0, -1, 2, -1])
    ours = classification_loss(logits, truth)
    theirs = functional.cross_entropy(logits[[0, 2]], truth[[0, 2]])
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    assert float(classification_loss(logits, torch.full((4,), -1))) == 0.0

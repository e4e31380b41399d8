from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics import Metric

from emoflow.evaluation import (
    ConcordanceCorrelation,
    MacroF1,
    UnweightedAverageRecall,
    classification_metrics,
    regression_metrics,
)

CLASSES = 5
random = np.random.default_rng(0)
TRUTH = random.integers(CLASSES - 1, size=101)  # the last class is never true
SCORES = random.normal(size=(101, CLASSES)) + np.eye(CLASSES)[TRUTH]
VALUES = random.normal(3, 1, 101)
GUESSES = VALUES + random.normal(0.3, 0.7, 101)


def merged(metrics: list[Metric]) -> torch.Tensor:
    whole = metrics[0]
    for other in metrics[1:]:
        whole.merge_state(other)
    return whole.compute()


@pytest.mark.parametrize(
    ("kind", "name"), [(UnweightedAverageRecall, "uar"), (MacroF1, "macro_f1")]
)
@pytest.mark.parametrize("as_scores", [True, False])
def test_classes_over_batches_and_processes(kind: Any, name: str, as_scores: bool) -> None:
    shares = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)
    expected = classification_metrics(TRUTH, shares)[name]
    metrics = [kind(CLASSES) for _ in range(2)]
    for k, rows in enumerate(np.array_split(np.arange(101), 7)):
        scores = torch.from_numpy(SCORES[rows])
        metrics[k % 2].update(
            scores if as_scores else scores.argmax(1), torch.from_numpy(TRUTH[rows])
        )
    assert float(merged(metrics)) == pytest.approx(expected, abs=1e-6)


def test_concordance_over_batches_and_processes() -> None:
    expected = regression_metrics(VALUES, GUESSES, "x")["ccc_x"]
    metrics: list[Metric] = [ConcordanceCorrelation() for _ in range(2)]
    for k, rows in enumerate(np.array_split(np.arange(101), 7)):
        metrics[k % 2].update(torch.from_numpy(GUESSES[rows]), torch.from_numpy(VALUES[rows]))
    assert float(merged(metrics)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_unknown_truth_is_left_out_and_reset_forgets() -> None:
    metric = ConcordanceCorrelation()
    metric.update(torch.tensor([1.0, 9.0, 2.0]), torch.tensor([1.0, float("nan"), 2.0]))
    assert float(metric.compute()) == 1
    metric.reset()
    assert float(metric.compute()) == 0
    metric.update(torch.tensor([1.0]), torch.tensor([float("nan")]))
    assert float(metric.compute()) == 0
    recall = UnweightedAverageRecall(3)
    recall.update(torch.tensor([0, 1, 2]), torch.tensor([0, -1, -1]))
    assert float(recall.compute()) == 1
    recall.reset()
    assert float(recall.compute()) == 0


def test_concordance_is_zero_for_a_constant() -> None:
    metric = ConcordanceCorrelation()
    metric.update(torch.full((5,), 3.1), torch.arange(5.0))
    assert float(metric.compute()) == 0


@pytest.mark.parametrize("empty", [False, True])
def test_gathered_over_processes_of_unequal_size(empty: bool) -> None:
    """What torchmetrics does at the end of an epoch, with the other process's states given."""
    shares = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)
    rows = slice(0, 0 if empty else 30), slice(0 if empty else 30, None)
    recalls = UnweightedAverageRecall(CLASSES), UnweightedAverageRecall(CLASSES)
    concordances = ConcordanceCorrelation(), ConcordanceCorrelation()
    for part, recall, concordance in zip(rows, recalls, concordances, strict=True):
        recall.update(torch.from_numpy(SCORES[part]), torch.from_numpy(TRUTH[part]))
        concordance.update(torch.from_numpy(GUESSES[part]), torch.from_numpy(VALUES[part]))
    expected = classification_metrics(TRUTH, shares)["uar"]
    assert synchronised(*recalls, ["matrix"]) == pytest.approx(expected, abs=1e-6)
    expected = regression_metrics(VALUES, GUESSES, "x")["ccc_x"]
    found = synchronised(*concordances, ["predicted", "truth"])
    assert found == pytest.approx(expected, abs=1e-6)


def synchronised(own: Any, other: Metric, states: list[str]) -> float:
    waiting = iter(states)

    def gather(tensor: torch.Tensor, group: Any = None) -> list[torch.Tensor]:
        state = getattr(other, next(waiting))
        return [tensor, state if isinstance(state, torch.Tensor) else torch.cat(state)]

    own.dist_sync_fn = gather
    own.distributed_available_fn = lambda: True
    return float(own.compute())

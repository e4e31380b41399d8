"""Metrics as objects that gather over batches and processes, for modules of your own.

Each gives, after any number of updates on any number of processes, exactly what the pure
function gives for all utterances at once. emoflow's own tasks use the pure functions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import multiclass_confusion_matrix
from torchmetrics.utilities import dim_zero_cat

from emoflow.evaluation.metrics import regression_metrics

__all__ = ["ConcordanceCorrelation", "MacroF1", "UnweightedAverageRecall"]


class _FromConfusion(Metric):
    """A metric of the confusion matrix, which adds up over batches and processes.

    Parameters
    ----------
    classes
        Number of classes.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    matrix: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        zeros = torch.zeros(classes, classes, dtype=torch.long)
        self.add_state("matrix", default=zeros, dist_reduce_fx="sum")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add a batch.

        Parameters
        ----------
        predicted
            (batch,) class numbers, or (batch, class) scores whose largest counts.
        truth
            (batch,) class numbers; -1 is unknown, and the utterance is left out.
        """
        if predicted.ndim == 2:
            predicted = predicted.argmax(1)
        known = truth >= 0
        if known.any():
            self.matrix += multiclass_confusion_matrix(predicted[known], truth[known], self.classes)

    def _counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return hits, true and predicted utterances per class, each (class,)."""
        m = self.matrix.double().cpu()
        return m.diagonal(), m.sum(1), m.sum(0)


class UnweightedAverageRecall(_FromConfusion):
    """Mean recall over the classes that occur in the truth; 0 before any update."""

    def compute(self) -> Tensor:
        """Return the metric over everything seen since the last reset."""
        hits, true, _ = self._counts()
        present = true > 0
        if not present.any():
            return torch.tensor(0.0)
        return (hits[present] / true[present]).mean().float()


class MacroF1(_FromConfusion):
    """Mean F1 over all classes; a class neither true nor predicted counts 0."""

    def compute(self) -> Tensor:
        """Return the metric over everything seen since the last reset."""
        hits, true, predicted = self._counts()
        return (2 * hits / (true + predicted).clamp(min=1)).mean().float()


class ConcordanceCorrelation(Metric):
    """Concordance correlation (Lin 1989, 1/n variances); 0 where a side is constant.

    It keeps every value (8 bytes per utterance) and computes in float64 at the end, so
    neither the order of batches nor the precision of training changes it.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    predicted: list[Tensor]
    truth: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("predicted", default=[], dist_reduce_fx="cat")
        self.add_state("truth", default=[], dist_reduce_fx="cat")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add a batch of values (batch,); a truth of NaN is unknown and left out."""
        predicted, truth = predicted.detach().reshape(-1).float(), truth.reshape(-1).float()
        known = ~truth.isnan()
        self.predicted.append(predicted[known])
        self.truth.append(truth[known])

    def compute(self) -> Tensor:
        """Return the metric over everything seen since the last reset; 0 before any."""
        if not len(self.truth):
            return torch.tensor(0.0)
        truth, predicted = dim_zero_cat(self.truth), dim_zero_cat(self.predicted)
        if not truth.numel():
            return torch.tensor(0.0)
        value = regression_metrics(truth.cpu().numpy(), predicted.cpu().numpy(), "value")
        return torch.tensor(value["ccc_value"])

"""Losses: plain functions of predictions and truth, both over one batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["RegressionLoss", "ccc_loss", "classification_loss", "regression_loss"]

RegressionLoss = Literal["rmse", "mse", "mae", "ccc"]
_TINY = 1e-8


def ccc_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return one minus the concordance correlation over the batch.

    Lin (1989), "A concordance correlation coefficient to evaluate reproducibility",
    Biometrics 45(1), with 1/n variances. In [0, 2]; 1 for a constant prediction.
    """
    mean_p, mean_t = predicted.mean(), truth.mean()
    covariance = ((predicted - mean_p) * (truth - mean_t)).mean()
    spread = predicted.var(correction=0) + truth.var(correction=0) + (mean_p - mean_t) ** 2
    return 1 - 2 * covariance / (spread + _TINY)


def regression_loss(predicted: Tensor, truth: Tensor, kind: RegressionLoss) -> Tensor:
    """Return the loss of ``predicted`` (batch,) against ``truth`` (batch,)."""
    if kind == "ccc":
        return ccc_loss(predicted, truth)
    if kind == "mae":
        return functional.l1_loss(predicted, truth)
    squared = functional.mse_loss(predicted, truth)
    return squared if kind == "mse" else torch.sqrt(squared + _TINY)


def classification_loss(
    logits: Tensor,
    truth: Tensor,
    *,
    soft: Tensor | None = None,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Return the cross-entropy of ``logits`` (batch, class) against the truth.

    Parameters
    ----------
    truth
        (batch,) int64 class numbers; a negative one is left out unless ``soft`` is given.
    soft
        (batch, class) shares of the raters' votes, used instead of ``truth``.
    class_weights
        (class,) weights; the loss is their weighted mean, as in torch's cross-entropy.
    label_smoothing
        Share of the probability that is spread evenly over all classes, in [0, 1).
    focal_gamma
        Exponent of the focal loss (Lin et al. 2017, arXiv:1708.02002); 0 is cross-entropy.
    """
    classes = logits.shape[-1]
    if soft is None:
        known = truth >= 0
        logits, truth = logits[known], truth[known]
        target = functional.one_hot(truth, classes).to(logits.dtype)
    else:
        target = soft.to(logits.dtype)
    if not len(target):
        return logits.sum() * 0.0
    log_p = functional.log_softmax(logits, dim=-1)
    weights = log_p.new_ones(classes) if class_weights is None else class_weights.to(log_p)
    norm = (target * weights).sum()
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if focal_gamma:
        log_p = log_p * (1 - log_p.exp()).clamp_min(0) ** focal_gamma
    return -(target * weights * log_p).sum() / norm.clamp_min(_TINY)

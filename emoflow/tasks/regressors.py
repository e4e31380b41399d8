"""Arousal from speech, valence from text: one number per utterance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from emoflow.evaluation import regression_metrics
from emoflow.nets import NetConfig, SpeechNetConfig, TextNetConfig
from emoflow.tasks.base import Task
from emoflow.tasks.losses import RegressionLoss, regression_loss
from emoflow.tasks.optimisation import Optimisation
from emoflow.types import Target

__all__ = ["ArousalRegressor", "Regressor", "ValenceRegressor"]


class Regressor(Task):
    """Predicts ``target`` on the corpus's own scale.

    The net learns the target's standard score: its mean and standard deviation over the
    training split are kept in the checkpoint and undone in every prediction.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        net: NetConfig | Mapping[str, Any],
        optimisation: Optimisation | Mapping[str, Any],
        loss: RegressionLoss,
        standardise: bool,
    ) -> None:
        super().__init__(net, optimisation, outputs=1, loss=loss, standardise=standardise)
        self.kind: RegressionLoss = loss
        self.standardise = standardise
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def fit_scales(self, corpus: Any) -> None:
        """Take the target's mean and standard deviation from the training split."""
        if self.standardise and hasattr(corpus, "training_targets"):
            values = np.asarray(corpus.training_targets(self.target), dtype=np.float64)
            self.centre.fill_(float(values.mean()))
            self.spread.fill_(max(float(values.std()), 1e-3))

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the loss on the target's own scale; unknown truths are left out."""
        truth = targets[self.target]
        known = ~truth.isnan()
        if not bool(known.any()):
            return outputs.sum() * 0.0
        return regression_loss(self.finish(outputs)[known], truth[known], self.kind)

    def finish(self, outputs: Tensor) -> Tensor:
        """Return values on the corpus's scale, (batch,)."""
        return outputs[:, 0] * self.spread + self.centre

    def scores(self, outputs: np.ndarray, targets: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Return RMSE and CCC of a whole epoch."""
        truth = targets[self.target]
        known = ~np.isnan(truth)
        return regression_metrics(truth[known], outputs[known], self.target)


class ArousalRegressor(Regressor):
    """Arousal from speech: convolutions along frequency, self-attention, a GRU.

    System A's first stage: with the default net the published one (validation RMSE .206
    on a random split of KEMDy20 with seven attention layers).

    Parameters
    ----------
    net
        Any net; :class:`~emoflow.nets.SpeechNetConfig` by default.
    optimisation
        Optimiser and learning-rate schedule.
    loss
        ``rmse`` (theirs), ``mse``, ``mae`` or ``ccc`` (one minus the concordance
        correlation of the batch).
    standardise
        Whether the net learns the standard score of the target instead of the target.
    """

    target: ClassVar[Target] = "arousal"
    monitor: ClassVar[str] = "val/ccc_arousal"

    def __init__(
        self,
        net: NetConfig = SpeechNetConfig(),  # noqa: B008 - frozen
        optimisation: Optimisation = Optimisation(),  # noqa: B008 - frozen
        loss: RegressionLoss = "rmse",
        standardise: bool = True,
    ) -> None:
        super().__init__(net, optimisation, loss, standardise)


class ValenceRegressor(Regressor):
    """Valence from text: a frozen KoBERT, self-attention, a GRU.

    System A's second stage: with the default net the published one (validation RMSE .432
    on a random split of KEMDy20 with five attention layers).

    Parameters
    ----------
    net
        Any net; :class:`~emoflow.nets.TextNetConfig` by default.
    optimisation
        Optimiser and learning-rate schedule.
    loss
        ``rmse`` (theirs), ``mse``, ``mae`` or ``ccc`` (one minus the concordance
        correlation of the batch).
    standardise
        Whether the net learns the standard score of the target instead of the target.
    """

    target: ClassVar[Target] = "valence"
    monitor: ClassVar[str] = "val/ccc_valence"

    def __init__(
        self,
        net: NetConfig = TextNetConfig(),  # noqa: B008 - frozen
        optimisation: Optimisation = Optimisation(),  # noqa: B008 - frozen
        loss: RegressionLoss = "rmse",
        standardise: bool = True,
    ) -> None:
        super().__init__(net, optimisation, loss, standardise)

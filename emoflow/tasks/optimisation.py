"""Optimisers and learning-rate schedules, described by one small config."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LambdaLR

from emoflow.errors import ConfigError

__all__ = ["Optimisation"]


@dataclass(frozen=True)
class Optimisation:
    """How a task's weights are learned."""

    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    """Update rule; sgd has a Nesterov momentum of 0.9."""
    learning_rate: float = 1e-3
    """Highest learning rate."""
    weight_decay: float = 1e-2
    """Weight decay; never on biases, norms and other vectors."""
    schedule: Literal["constant", "exponential", "cosine", "linear"] = "cosine"
    """How the learning rate falls after the warm-up: exponential multiplies it by
    ``decay`` every epoch, cosine and linear reach ``final`` at the last step."""
    decay: float = 0.9
    """Factor per epoch of the exponential schedule, in (0, 1]."""
    final: float = 0.0
    """Share of the learning rate that cosine and linear end with, in [0, 1]."""
    warm_up: float = 0.05
    """Share of all steps over which the learning rate rises from zero, in [0, 1)."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ConfigError(
                f"learning_rate is {self.learning_rate}", "give a positive one, such as 1e-3"
            )
        if not 0 <= self.warm_up < 1:
            raise ConfigError(f"warm_up is {self.warm_up}", "give a share of all steps in [0, 1)")

    def build(
        self,
        groups: Iterable[tuple[Iterable[torch.nn.Parameter], float]],
        *,
        steps: int,
        steps_per_epoch: int,
    ) -> dict[str, Any]:
        """Return what ``LightningModule.configure_optimizers`` returns.

        Parameters
        ----------
        groups
            Pairs of parameters and a scale of the learning rate for them.
        steps, steps_per_epoch
            Optimiser steps of the whole fit and of one epoch.
        """
        parameters: list[dict[str, Any]] = []
        for members, scale in groups:
            learned = [p for p in members if p.requires_grad]
            for decayed in (True, False):
                chosen = [p for p in learned if (p.ndim > 1) == decayed]
                if chosen:
                    parameters.append(
                        {
                            "params": chosen,
                            "lr": self.learning_rate * scale,
                            "weight_decay": self.weight_decay if decayed else 0.0,
                        }
                    )
        if not parameters:
            raise ConfigError(
                "nothing is left to train: every parameter is frozen",
                "set --freeze false, or give the net an attention layer or a head of its own",
            )
        optimiser: torch.optim.Optimizer
        if self.optimiser == "sgd":
            optimiser = torch.optim.SGD(
                parameters, lr=self.learning_rate, momentum=0.9, nesterov=True
            )
        else:
            kind = torch.optim.AdamW if self.optimiser == "adamw" else torch.optim.Adam
            # On a CPU one pass over the weights instead of five; elsewhere torch chooses, since
            # a fused optimiser cannot be clipped under 16-mixed precision.
            on_cpu = all(p.device.type == "cpu" for group in parameters for p in group["params"])
            optimiser = kind(parameters, lr=self.learning_rate, fused=on_cpu or None)
        factor = partial(self.factor, steps=steps, steps_per_epoch=steps_per_epoch)
        scheduler = LambdaLR(optimiser, factor)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def factor(self, step: int, *, steps: int, steps_per_epoch: int) -> float:
        """Return the factor on the learning rate after ``step`` of ``steps``, in [0, 1]."""
        warm = round(self.warm_up * steps)
        if step < warm:
            return (step + 1) / (warm + 1)
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "exponential":
            return float(self.decay ** ((step - warm) // max(1, steps_per_epoch)))
        done = min(1.0, (step - warm) / max(1, steps - warm))
        fall = done if self.schedule == "linear" else (1 - math.cos(math.pi * done)) / 2
        return 1 - fall * (1 - self.final)

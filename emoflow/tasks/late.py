"""Finding how late fusion combines its modalities, on the validation split."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor

from emoflow.nets import LateFusion, MergedNet
from emoflow.tasks.base import Task, gathered, merged
from emoflow.types import Batch

__all__ = ["CombineLate"]


class CombineLate(L.Callback):
    """Fits the combination of a net with late fusion to whatever ``trainer.validate`` reads.

    Add it to a Trainer for one ``trainer.validate(task, corpus)`` after the fit; the towers and
    their outputs stay as they are.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Tensor, dict[str, Tensor]]] = []

    @staticmethod
    def waits(task: Task) -> bool:
        """Whether a task's net has a combination that was not found yet."""
        fusion = getattr(task.net, "fusion", None)
        if not isinstance(fusion, LateFusion) or fusion.kind == "mean":
            return False
        return not bool(fusion.fitted)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget an earlier epoch."""
        self._parts = []

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect what each modality says by itself."""
        assert isinstance(pl_module, Task)
        net = pl_module.net
        if isinstance(net, MergedNet) and isinstance(net.fusion, LateFusion):
            decisions, present = net.fusion.decide(net.sides(batch))
            known = {**pl_module.targets(batch), "present": present}
            on_cpu = {name: value.cpu() for name, value in known.items()}
            self._parts.append((batch.rows.cpu(), decisions.cpu(), on_cpu))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find the combination, the same in every process."""
        assert isinstance(pl_module, Task)
        parts = gathered({"late": self._parts}).get("late")
        fusion = getattr(pl_module.net, "fusion", None)
        if not parts or not isinstance(fusion, LateFusion):
            return
        _, decisions, known = merged(parts)
        with torch.inference_mode(False):  # validation's tensors know no gradients
            device = pl_module.device
            targets = {name: value.clone().to(device) for name, value in known.items()}
            present = targets.pop("present").bool()

            def loss(outputs: Tensor) -> Tensor:
                return pl_module.loss(outputs.to(device, torch.float32), targets).cpu()

            fusion.fit_combination(decisions.clone(), present, loss)

"""Starting a merged net from pretrained parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
from torch import nn

from emoflow.data.audit import refuse_overlap
from emoflow.errors import CheckpointError
from emoflow.tasks.base import Task
from emoflow.tasks.checkpoints import check_note, read_checkpoint

__all__ = ["WarmStart"]


class WarmStart(L.Callback):
    """Copies pretrained towers into the net before the fit, and may freeze them.

    A resumed fit takes its weights from its own checkpoint instead. A pretrained
    checkpoint is refused when utterances that it was trained or selected on are in this
    run's validation or test split.

    Parameters
    ----------
    checkpoints
        Modality, the name of a tower, to the checkpoint of a net that has that tower.
    freeze
        Whether the copied towers stay as they are.
    """

    def __init__(self, checkpoints: Mapping[str, str], freeze: bool = True) -> None:
        self.checkpoints = dict(checkpoints)
        self.freeze = freeze

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Copy the towers; freeze them."""
        if stage != "fit":
            return
        assert isinstance(pl_module, Task)
        pl_module.configure_model()
        for tower, path in self.checkpoints.items():
            part = getattr(pl_module.net, tower, None)
            if not isinstance(part, nn.Module):
                raise CheckpointError(
                    f"warm start of {tower!r}: this net has no such tower",
                    "name one of its modalities, such as speech or text",
                )
            if trainer.ckpt_path is None:
                self._copy(trainer, tower, path, part)
            if self.freeze:
                part.freeze()  # type: ignore[operator]

    def _copy(self, trainer: L.Trainer, tower: str, path: str, part: nn.Module) -> None:
        checkpoint = read_checkpoint(path)
        note = check_note(checkpoint, path=path)
        record: dict[str, Any] | None = note["protocol"]
        corpus = getattr(trainer, "datamodule", None)
        if record is not None and corpus is not None:
            refuse_overlap(record["seen"], corpus.splits, f"the checkpoint {path}")
        prefix = f"net.{tower}."
        weights = {
            name.removeprefix(prefix): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith(prefix)
        }
        expected = part.state_dict()
        differing = sorted(
            name
            for name in expected.keys() | weights.keys()
            if name not in weights
            or name not in expected
            or weights[name].shape != expected[name].shape
        )
        if differing:
            raise CheckpointError(
                f"{path}: its {tower} tower does not fit this net's, they differ in "
                f"{len(differing)} weights, the first is {differing[0]}",
                f"give task.net.{tower} the encoder and attention of the pretrained net",
            )
        part.load_state_dict(weights)

"""Callbacks that make a fit repeatable, resumable and recorded."""

from __future__ import annotations

import csv
import io
import random
import zlib
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from emoflow.data.paths import atomic_write
from emoflow.evaluation import better
from emoflow.tasks.seeding import seed_torch

__all__ = ["BatchSeed", "Checkpoint", "EarlyStop", "History"]


class BatchSeed(L.Callback):
    """Seeds every training batch by its place, so that a resumed fit draws what it would have."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch, numpy and random; each process differently."""
        place = f"{self.seed} {trainer.current_epoch} {batch_idx} {trainer.global_rank}"
        number = zlib.crc32(place.encode())
        seed_torch(number, pl_module.device)
        np.random.seed(number)
        random.seed(number)


class EarlyStop(EarlyStopping):
    """Early stopping that also stops a fit resumed from the very epoch it had stopped at."""

    def __init__(self, monitor: str, patience: int) -> None:
        super().__init__(monitor, patience=patience, mode=direction(monitor), check_finite=True)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop at once if patience had run out before."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class Checkpoint(ModelCheckpoint):
    """Keeps one checkpoint: the best epoch by ``monitor``, or the last one without it."""

    def __init__(self, folder: str | Path, name: str, monitor: str | None = None) -> None:
        super().__init__(
            dirpath=folder,
            filename=name,
            monitor=monitor,
            mode=direction(monitor) if monitor else "min",
            save_top_k=1,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

    @property
    def state_key(self) -> str:
        """Tell the callbacks of one fit apart."""
        return f"{type(self).__name__}-{self.filename}"


class History(L.Callback):
    """Writes ``history.csv``: a row of metrics per epoch.

    Its rows travel in the checkpoint, so that a resumed fit continues the file from the
    epoch it resumes at.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows so far."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the epoch's row."""
        values = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(("train/", "val/"))
        }
        groups = trainer.optimizers[0].param_groups if trainer.optimizers else []
        rate = groups[0]["lr"] if groups else 0.0
        self.rows.append({"epoch": trainer.current_epoch, **values, "lr": rate})
        if trainer.is_global_zero:
            names = list(dict.fromkeys(name for row in self.rows for name in row))
            text = io.StringIO()
            writer = csv.DictWriter(text, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            atomic_write(self.path, text.getvalue())


def direction(monitor: str) -> str:
    """Return ``max`` or ``min``: where a monitored metric is better."""
    name = monitor.rpartition("/")[2]
    return "min" if name == "loss" else better(name)

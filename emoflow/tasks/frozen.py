"""What is frozen is computed once per utterance and kept."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from emoflow.data.store import FeatureStore
from emoflow.errors import ConfigError
from emoflow.frontends.augment_speech import Augmentation, SpeechAugment
from emoflow.tasks.base import Task
from emoflow.tasks.seeding import seed_torch

__all__ = ["KeepFrozen", "weights_digest"]

VERSION = 1
"""Raised when what a store holds would change for equal keys."""


def weights_digest(module: nn.Module) -> str:
    """Return a hash of a module's weights, buffers included."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


class KeepFrozen(L.Callback):
    """Runs the net's frozen parts over the corpus once, into memory-mapped stores.

    Afterwards the corpus's batches carry the stored states instead of waveforms or
    tokens. A store is keyed by the frozen part's config and weights and by each
    utterance's content, so a change of either is computed anew, and runs that share
    them share the store.

    Parameters
    ----------
    views
        Stored views per training utterance: the first is the plain one, the others are
        augmented as the frozen net's own training was; every epoch draws one of them.
        With 1 a frozen net's input is not augmented.
    """

    def __init__(self, views: int = 1) -> None:
        if views < 1:
            raise ConfigError(f"views is {views}", "give 1 (no augmentation) or more")
        self.views = views

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Fill the stores for training: a resumed run has its weights by now."""
        self.fill(trainer, pl_module)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Fill the stores for testing and prediction, where weights are loaded by now."""
        if stage != "fit":
            self.fill(trainer, pl_module)

    def fill(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compute what the stores miss and hand them to the corpus."""
        corpus: Any = getattr(trainer, "datamodule", None)
        if not isinstance(pl_module, Task) or not hasattr(corpus, "stores"):
            return
        pl_module.configure_model()
        assert pl_module.net is not None
        for modality in ("speech", "text"):
            tower = getattr(pl_module.net, modality, None)
            part = None if tower is None else tower.frozen_part
            if part is None:
                corpus.stores.pop(modality, None)
                continue
            augmented = any(isinstance(m, SpeechAugment) and m.active for m in part.modules())
            views = self.views if augmented else 1
            key = {
                "version": VERSION,
                "part": type(part).__name__,
                "config": part.config.to_plain(),
                "weights": weights_digest(part),
                "precision": str(trainer.precision),
                "max_seconds": pl_module.needs.max_seconds,
                "max_tokens": pl_module.needs.max_tokens,
            }
            abouts = [{**key, "view": view} for view in range(views)]
            if trainer.local_rank == 0:
                for view, about in enumerate(abouts):
                    with FeatureStore.open(about, part.width, part.store_dtype) as store:
                        self._fill_store(trainer, pl_module, part, modality, store, view)
            trainer.strategy.barrier(f"store-{modality}")
            corpus.stores[modality] = [
                FeatureStore.open(a, part.width, part.store_dtype) for a in abouts
            ]

    def _fill_store(
        self,
        trainer: L.Trainer,
        task: Task,
        part: nn.Module,
        modality: str,
        store: FeatureStore,
        view: int,
    ) -> None:
        corpus: Any = trainer.datamodule  # type: ignore[attr-defined]
        rows = corpus.content_rows(modality, training_only=view > 0)
        keys = [corpus.content_key(row, modality) for row in rows]
        wanted = set(store.missing(keys))
        missing = dict(zip(keys, rows, strict=True))
        missing = {key: row for key, row in missing.items() if key in wanted}
        if not missing:
            return
        names = {row: key for key, row in missing.items()}
        batches = corpus.content_batches(list(missing.values()), modality)
        label = f"{modality}: frozen {type(part).__name__}" + (f", view {view}" if view else "")
        with (
            _evaluating(part, augment=view > 0),
            torch.inference_mode(),
            trainer.precision_plugin.forward_context(),
            tqdm(total=len(missing), desc=label, unit="utterance", delay=2) as progress,
        ):
            for batch in batches:
                batch = batch.to(task.device)
                inputs, counts = (
                    (batch.waveforms, batch.samples)
                    if modality == "speech"
                    else (batch.tokens, batch.token_counts)
                )
                keys = [names[int(row)] for row in batch.rows]
                found = (
                    _together(part, inputs, counts)
                    if view == 0
                    else _one_by_one(part, inputs, counts, [f"{key} {view}" for key in keys])
                )
                for key, values in zip(keys, found, strict=True):
                    store.append(key, values)
                progress.update(len(batch))


def _together(part: nn.Module, inputs: Any, counts: Any) -> Iterator[np.ndarray]:
    """Yield (step, width) per utterance of a batch."""
    values, steps = part(inputs, counts)
    values = values.float().cpu().numpy()
    for one, count in zip(values, steps, strict=True):
        yield one[: int(count)]


def _one_by_one(
    part: nn.Module, inputs: Any, counts: Any, names: Sequence[str]
) -> Iterator[np.ndarray]:
    """Yield the same for random views: an utterance's draw depends on its name alone."""
    for i, name in enumerate(names):
        seed_torch(zlib.crc32(name.encode()), inputs.device)
        yield next(_together(part, inputs[i : i + 1, : int(counts[i])], counts[i : i + 1]))


@contextmanager
def _evaluating(part: nn.Module, *, augment: bool) -> Iterator[None]:
    """Put a module in evaluation mode; with ``augment`` its augmentation stays on."""
    before = {module: module.training for module in part.modules()}
    for module in before:
        module.training = augment and isinstance(module, Augmentation)
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training

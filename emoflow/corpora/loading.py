"""Data loaders: which rows, in which batches, read by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from emoflow.corpora.reading import BatchPlan, BatchReader
from emoflow.corpora.selection import Selection
from emoflow.corpora.signals import SignalReader
from emoflow.data.batching import LengthBatchSampler
from emoflow.data.speech import SpeechReader
from emoflow.data.store import FeatureStore
from emoflow.types import Batch, Modality

__all__ = ["BatchOptions", "make_loader"]


@dataclass(frozen=True)
class BatchOptions:
    """How utterances are gathered into batches of similar length."""

    max_utterances: int = 32
    """Utterances per batch at most."""
    max_seconds: float = 240.0
    """Padded seconds of speech per batch at most: the longest times the number."""
    max_tokens: int = 4096
    """The same in tokens, for tasks that read text alone."""
    workers: int = 0
    """Processes that read ahead; 0 reads in the main process."""
    pin_memory: bool = False
    """Copies to a GPU are faster from pinned memory."""


def make_loader(
    selection: Selection,
    rows: NDArray[np.int64],
    options: BatchOptions,
    speech: SpeechReader,
    *,
    signals: SignalReader | None = None,
    modalities: Sequence[Modality] | None = None,
    stores: Mapping[Modality, Sequence[FeatureStore]] | None = None,
    training: bool = False,
    balanced: bool = False,
    copies: bool = False,
    seed: int = 0,
    epoch: int = 0,
    place: tuple[int, int] = (0, 1),
) -> DataLoader[Batch]:
    """Return batches of ``rows``.

    Parameters
    ----------
    selection
        What a task makes of the corpus.
    rows
        Rows to read; those behind the table's are augmented copies.
    options
        Limits of a batch, workers.
    speech
        Reads waveforms.
    signals
        Gives what a front end made of biosignals.
    modalities
        Default: those that the task needs.
    stores
        Modality to views of a frozen encoder's output, read instead of waveforms or tokens.
    training
        Shuffle by seed and epoch.
    balanced
        Draw so that every emotion comes equally often; for training.
    copies
        Name augmented copies by rows of their own.
    seed, epoch
        All that the order of training batches depends on.
    place
        This process's rank, and how many processes there are.
    """
    needs = selection.needs
    if modalities is not None:
        needs = replace(needs, modalities=tuple(modalities))
    in_seconds = "speech" in needs.modalities
    sampler = LengthBatchSampler(
        selection.lengths(rows, in_seconds),
        rows=rows,
        max_utterances=options.max_utterances,
        max_total=options.max_seconds if in_seconds else options.max_tokens,
        shuffle=training,
        seed=seed,
        rank=place[0],
        world_size=place[1],
        weights=selection.weights(rows) if training and balanced else None,
    )
    plan = BatchPlan(sampler)
    plan.set_epoch(epoch)
    reader = BatchReader(
        selection.contents,
        needs,
        speech=speech if in_seconds else None,
        signals=signals if "signals" in needs.modalities else None,
        stores={} if stores is None else stores,
        training=training,
        seed=seed,
        copies=copies,
    )
    return DataLoader(
        reader,
        sampler=plan,
        batch_size=None,
        num_workers=options.workers,
        collate_fn=_as_it_is,
        pin_memory=options.pin_memory,
        persistent_workers=options.workers > 0,
    )


def _as_it_is(batch: Any) -> Any:
    return batch

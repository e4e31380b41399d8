"""From row numbers to batches: what a data loader runs, in its worker processes too."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from emoflow.corpora.signals import SignalReader
from emoflow.corpora.targets import Targets
from emoflow.data.batching import LengthBatchSampler
from emoflow.data.collate import Collator, Loaded
from emoflow.data.speech import SpeechReader
from emoflow.data.store import FeatureStore
from emoflow.data.table import UtteranceTable
from emoflow.types import SAMPLE_RATE, Batch, Modality, Needs

__all__ = ["BatchPlan", "BatchReader", "Contents", "Tokens"]

_Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """Token ids of many texts in one array."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    """(text + 1,) where each text starts in ``ids``."""

    def __getitem__(self, text: int) -> NDArray[np.int32]:
        return self.ids[self.starts[text] : self.starts[text + 1]]

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.starts, self.starts[-1] + other.starts[1:]]),
        )

    @property
    def counts(self) -> _Rows:
        """(text,) number of ids."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class Contents:
    """What a batch is filled from, by row.

    Rows behind the table's are augmented copies of utterances, which differ from them in
    their text only.
    """

    table: UtteranceTable
    origin: _Rows
    """(row,) the utterance that each row is, or is a copy of."""
    targets: Targets
    tokens: Tokens | None
    """Token ids per row."""
    seconds: NDArray[np.float64]
    """(utterance,) length of the speech, cut at the longest that is read; NaN without."""
    spoken: NDArray[np.bool_]
    """(utterance,) whether there is speech."""
    written: NDArray[np.bool_]
    """(utterance,) whether there is text."""
    max_seconds: float | None

    @property
    def max_samples(self) -> int | None:
        """Samples of one utterance at most."""
        return None if self.max_seconds is None else int(self.max_seconds * SAMPLE_RATE)

    def key(self, row: int, modality: Modality) -> str:
        """Return a name for what a frozen encoder reads of a row: equal content, equal name.

        Speech is named by its file (path, size and time of change), span and cut, text by
        its token ids.
        """
        return self.keys(np.array([row]), modality)[0]

    def keys(self, rows: _Rows, modality: Modality) -> list[str]:
        """Return :meth:`key` of many rows."""
        if modality == "text":
            assert self.tokens is not None
            return [_name(self.tokens[int(row)].tobytes()) for row in rows]
        return [self._speech_keys[utterance] for utterance in self.origin[rows].tolist()]

    @cached_property
    def _speech_keys(self) -> list[str]:
        names = ("path", "size", "mtime_ns", "start", "end")
        columns = [self.table.column(f"speech_{name}") for name in names]
        files = ("\0".join(map(str, (*f, self.max_seconds))) for f in zip(*columns, strict=True))
        return [_name(file.encode("utf-8", "surrogateescape")) for file in files]

    def has(self, modality: Modality, rows: Any) -> Any:
        """Return whether each of ``rows`` has speech or text."""
        return (self.spoken if modality == "speech" else self.written)[self.origin[rows]]


class BatchReader(Dataset[Batch]):
    """Reads batches: ``reader[epoch, rows] -> Batch``. One call per batch.

    Parameters
    ----------
    contents
        What to fill batches from.
    needs
        Which modalities and targets to fill in.
    speech
        Reads waveforms; ``None`` when no waveform is needed.
    signals
        Gives what a front end made of biosignals; ``None`` when none are needed.
    stores
        Modality to views of a frozen encoder's output, used instead of waveforms or tokens.
        What is added to the mapping later is used from then on.
    training
        Hard targets of ties are learned, and every epoch draws one of a store's views.
    seed
        Of that draw.
    copies
        Call augmented copies by their own rows in ``Batch.rows``, not by their utterance's.
    """

    def __init__(
        self,
        contents: Contents,
        needs: Needs,
        *,
        speech: SpeechReader | None,
        signals: SignalReader | None = None,
        stores: Mapping[Modality, Sequence[FeatureStore]],
        training: bool = False,
        seed: int = 0,
        copies: bool = False,
    ) -> None:
        self.contents = contents
        self.needs = needs
        self.speech = speech
        self.signals = signals
        self.stores = stores
        self.training = training
        self.seed = seed
        self.copies = copies

    def __getitem__(self, plan: tuple[int, Sequence[int]]) -> Batch:
        epoch, rows = plan[0], np.asarray(plan[1], dtype=np.int64)
        targets = self.contents.targets
        stored = {m: self.stores[m] for m in self.needs.modalities if m in self.stores}
        states = {m: self._stored(views, m, rows, epoch) for m, views in stored.items()}
        collate = Collator(self.needs, {m: views[0].width for m, views in stored.items()})
        hard = targets.learned if self.training else targets.scored
        origin = self.contents.origin[rows].tolist()
        return collate(
            [
                Loaded(
                    row if self.copies else utterance,
                    waveform=self._waveform(utterance),
                    tokens=self._tokens(row),
                    speech_states=states["speech"][place] if "speech" in states else None,
                    text_states=states["text"][place] if "text" in states else None,
                    signals=None if self.signals is None else self.signals[utterance],
                    emotion=int(hard[utterance]),
                    votes=None if targets.votes is None else targets.votes[utterance],
                    arousal=float(targets.arousal[utterance]),
                    valence=float(targets.valence[utterance]),
                )
                for place, (row, utterance) in enumerate(zip(rows.tolist(), origin, strict=True))
            ]
        )

    def _waveform(self, utterance: int) -> NDArray[np.float32] | None:
        if self.speech is None or "speech" in self.stores or not self.contents.spoken[utterance]:
            return None
        return self.speech[utterance][: self.contents.max_samples]

    def _tokens(self, row: int) -> NDArray[np.int32] | None:
        contents = self.contents
        if contents.tokens is None or "text" in self.stores or not contents.has("text", row):
            return None
        return contents.tokens[row]

    def _stored(
        self, views: Sequence[FeatureStore], modality: Modality, rows: _Rows, epoch: int
    ) -> list[NDArray[Any] | None]:
        keys = self.contents.keys(rows, modality)
        there = self.contents.has(modality, rows)
        return [
            views[self._view(row, epoch, len(views))][key] if present else None
            for row, key, present in zip(rows.tolist(), keys, there, strict=True)
        ]

    def _view(self, row: int, epoch: int, views: int) -> int:
        if not self.training or views == 1:
            return 0
        return zlib.crc32(struct.pack("<qqq", self.seed, epoch, row)) % views


class BatchPlan(Sampler[tuple[int, list[int]]]):
    """Yields ``(epoch, rows)`` per batch; Lightning tells it the epoch.

    Parameters
    ----------
    sampler
        Makes the batches.
    """

    def __init__(self, sampler: LengthBatchSampler) -> None:
        self.sampler = sampler
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch: the same epoch always has the same batches."""
        self.epoch = epoch
        self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        for rows in self.sampler:
            yield self.epoch, rows

    def __len__(self) -> int:
        return len(self.sampler)


def _name(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()

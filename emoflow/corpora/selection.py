"""What one task makes of a corpus: its rows per split, its targets, its token ids."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoflow.corpora.reading import Contents
from emoflow.corpora.targets import Ties, emotions, read_targets, usable_rows
from emoflow.corpora.tokenizing import encode_texts, read_tokens
from emoflow.data.table import UtteranceTable
from emoflow.errors import ConfigError, LabelError, ProtocolError
from emoflow.frontends.augment_text import TextAugmentation
from emoflow.types import Needs, parse_emotion

__all__ = ["Selection", "TextCopies", "select"]

_Rows = NDArray[np.int64]
_SECONDS_WITHOUT_SPEECH = 0.1


@dataclass(frozen=True)
class TextCopies:
    """Which augmented copies of training texts to make."""

    how: TextAugmentation | None
    percent: Mapping[str, float]
    """Copies per emotion, in percent of its training utterances."""
    seed: int

    def check(self, label_map: Mapping[str, str] | None, known: set[str]) -> TextCopies:
        """Return it with shared names for the labels.

        Raises
        ------
        ConfigError
            If copies are asked for without saying how, or their number is not one.
        LabelError
            If the corpus has no such emotion.
        """
        percent: dict[str, float] = {}
        for spelling, value in self.percent.items():
            label = parse_emotion(spelling, where="data.augment_labels", aliases=label_map)
            if label not in known:
                raise LabelError(
                    f"data.augment_labels: the corpus has no utterance that is {label}",
                    f"Its emotions are {', '.join(sorted(known)) or 'none'}.",
                )
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(
                    f"data.augment_labels: {value} percent for {label}",
                    "Give a number from 0 on: 250 makes 2.5 copies of every utterance.",
                )
            percent[label] = value
        if percent and self.how is None:
            raise ConfigError(
                "data.augment_labels says how many copies, but nothing says how to make them",
                "Set data.text_augmentation, for example to {swap: 0.1, deletion: 0.1}.",
            )
        return TextCopies(self.how, percent, self.seed)

    def rows(self, named: NDArray[Any], train: _Rows) -> _Rows:
        """Return the training rows to copy, a row once per copy; ``named`` is (utterance,)."""
        chosen = []
        for label, percent in sorted(self.percent.items()):
            rows = train[[name == label for name in named[train]]]
            each, rest = divmod(round(len(rows) * percent / 100), max(1, len(rows)))
            generator = np.random.default_rng((self.seed, zlib.crc32(label.encode())))
            chosen += [np.repeat(rows, each), generator.permutation(rows)[:rest]]
        return np.sort(np.concatenate([np.empty(0, np.int64), *chosen]).astype(np.int64))

    def texts(self, rows: _Rows, texts: NDArray[Any]) -> list[str | None]:
        """Return a changed text per row of :meth:`rows`; ``texts`` is (row,)."""
        result: list[str | None] = []
        number, last = 0, -1
        for row, text in zip(rows.tolist(), texts, strict=True):
            number, last = (number + 1, row) if row == last else (0, row)
            generator = np.random.default_rng((self.seed, row, number))
            assert self.how is not None
            result.append(self.how.augment(text, generator))
        return result


@dataclass(frozen=True)
class Selection:
    """What one task makes of a corpus."""

    needs: Needs
    contents: Contents
    rows: Mapping[str, _Rows]
    """Rows per split that the task can use."""
    train: _Rows
    """Training rows and, behind the table's, those of augmented copies."""
    named: NDArray[Any]
    """(utterance,) the emotion that counts, or ``None``."""
    sizes: Mapping[str, int]
    """Utterances per split before the task chose."""

    def lengths(self, rows: _Rows, in_seconds: bool) -> NDArray[np.float64]:
        """Return what rows take of a batch's budget: seconds of speech, or tokens."""
        contents = self.contents
        if in_seconds:
            seconds = contents.seconds[contents.origin[rows]]
            return np.asarray(np.nan_to_num(seconds, nan=_SECONDS_WITHOUT_SPEECH))
        if contents.tokens is None:
            return np.ones(len(rows))
        return np.maximum(1.0, contents.tokens.counts[rows])

    def weights(self, rows: _Rows) -> NDArray[np.float64]:
        """Return sampling weights under which every emotion is equally likely.

        Raises
        ------
        ConfigError
            If no utterance has an emotion.
        """
        names = [name or "" for name in self.named[self.contents.origin[rows]]]
        if not any(names):
            raise ConfigError(
                "data.balanced_sampling: no training utterance has an emotion to balance by",
                "Set data.balanced_sampling to false.",
            )
        _, number, counts = np.unique(names, return_inverse=True, return_counts=True)
        return np.asarray(1.0 / counts[number])

    def warnings(self) -> list[str]:
        """Return a line for every label that training never shows, and one for those in ties."""
        targets, train = self.contents.targets, self.rows["train"]
        if self.needs.target != "emotion" or targets.votes is None:
            return []
        learned = targets.learned[train]
        counts = np.bincount(learned[learned >= 0], minlength=len(self.needs.labels))
        shown = targets.votes[train].sum(axis=0) > 0
        labels, known = np.array(self.needs.labels), counts > 0
        lines = [
            f"no training utterance is {label}, so it cannot be learned"
            for label in labels[~known & ~shown]
        ]
        tied = labels[~known & shown]
        if len(tied):
            lines.append(f"only soft_labels can learn {', '.join(tied)}: nothing is that alone")
        return lines

    def of(self, split: str) -> _Rows:
        """Return the rows of a split.

        Raises
        ------
        ProtocolError
            If the protocol put nothing there.
        """
        if len(self.rows[split]):
            return self.rows[split]
        counts = ", ".join(f"{name} {n}" for name, n in self.sizes.items())
        raise ProtocolError(
            f"the {split} split is empty under this protocol ({counts})",
            "Use a larger data.protocol.validation for a validation split, or complete the "
            "split that data.protocol reads.",
        )


def select(
    table: UtteranceTable,
    splits: Mapping[str, _Rows],
    needs: Needs,
    *,
    ties: Ties,
    copies: TextCopies,
    label_map: Mapping[str, str] | None,
) -> Selection:
    """Choose what a task can use of a corpus, and prepare it.

    Raises
    ------
    ProtocolError
        If nothing of a split is left, or one emotion only.
    ConfigError, LabelError
        If the augmentation does not fit the corpus.
    """
    targets = read_targets(table, needs, ties)
    rows = usable_rows(table, splits, targets, needs)
    named = emotions(table, ties)
    if needs.labels:
        soft = np.flatnonzero([e is None for e in named])
        for row in soft[targets.learned[soft] >= 0]:
            named[row] = needs.labels[targets.learned[row]]
    known = set(named) - {None}
    copies = copies.check(label_map, known)

    written = table.present("text")
    origin, tokens, train = np.arange(len(table)), None, rows["train"]
    if "text" in needs.modalities:
        if needs.tokenizer is None:
            raise ConfigError(
                "the task reads text but its needs name no tokenizer",
                "Give Needs a tokenizer, such as emoflow.frontends.JamoTokenizer().",
            )
        tokens = read_tokens(table, needs.tokenizer, needs.max_tokens)
        copied = copies.rows(named, train[written[train]])
        if len(copied):
            changed = copies.texts(copied, table.column("text", copied))
            tokens += encode_texts(changed, needs.tokenizer, needs.max_tokens)
            train = np.concatenate([train, len(table) + np.arange(len(copied))])
            origin = np.concatenate([origin, copied])
    seconds = table.column("seconds")
    if needs.max_seconds is not None:
        seconds = np.minimum(seconds, needs.max_seconds)
    contents = Contents(
        table=table,
        origin=origin,
        targets=targets,
        tokens=tokens,
        seconds=seconds,
        spoken=table.present("speech_path"),
        written=written,
        max_seconds=needs.max_seconds,
    )
    sizes = {name: len(r) for name, r in splits.items()}
    return Selection(needs, contents, rows, train, named, sizes)

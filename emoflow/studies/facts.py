"""What is known of a corpus's utterances, as one table to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emoflow.corpora import Corpus
from emoflow.data.protocol import SPLIT_NAMES
from emoflow.errors import ProtocolError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NO_SPLIT", "CorpusFacts", "gather_facts"]

NO_SPLIT = "left out"
_FEWEST, _MOST = 2, 60  # values of a further column by which it is a grouping
_DECADE = 10


@dataclass(frozen=True)
class CorpusFacts:
    """A corpus, ready to be counted."""

    corpus: Corpus
    frame: pd.DataFrame
    """One row per utterance, in the table's order: ``key``, ``corpus``, ``split``, ``emotion``
    (``None`` for ties), ``speaker``, ``session``, ``sex``, ``age``, ``text``, ``words``,
    ``characters``, ``seconds``, ``loudness`` (dB), ``silence`` (share), ``bandwidth`` (Hz),
    ``rate`` (Hz), ``arousal``, ``valence``, ``agreement``, and the further columns that group."""
    labels: tuple[str, ...]
    """Emotions that occur, in the corpus's own order."""
    members: NDArray[np.bool_]
    """(utterance, label); an utterance whose emotions tie has all of them."""
    groupings: tuple[str, ...]
    """Columns of ``frame`` by which emotions are counted."""
    refused: str
    """Why the protocol makes no splits, if it does not."""

    @property
    def seen(self) -> NDArray[np.int64]:
        """Rows whose words and sound may be looked at: training's.

        Without splits, all but those that the corpus itself keeps for tests.
        """
        split = self.frame["split"].to_numpy(dtype=object)
        return np.flatnonzero(split != "test" if self.refused else split == "train")

    @property
    def seen_from(self) -> str:
        """What :attr:`seen` is, as a sentence."""
        if not self.refused:
            return "Training split only."
        return "All utterances but the corpus's own test split, if it has one."


def gather_facts(corpus: Corpus) -> CorpusFacts:
    """Read a corpus and gather what is known of its utterances.

    A protocol that cannot split the corpus is noted, not raised: whoever looks at a corpus may
    not know yet which one it allows.
    """
    table, heard = corpus.table, corpus.heard
    frame = corpus.rows_frame(np.arange(len(table)))
    frame["corpus"] = table.column("corpus")
    frame["split"], refused = _splits(corpus)
    for name, values in heard.recording.items():
        frame[name] = values
    frame["words"] = _lengths(frame["text"], lambda text: len(text.split()))
    frame["characters"] = _lengths(frame["text"], lambda text: len("".join(text.split())))
    frame["age"] = _ages(frame["age"])
    further = _further(table.column("extra"), {str(name) for name in frame})
    for name, column in further.items():
        frame[name] = column
    labels, members = _members(corpus)
    groupings = [
        name
        for name in ("split", "corpus", "session", "speaker", "sex", "age", *further)
        if frame[name].nunique() > 1
    ]
    return CorpusFacts(corpus, frame, labels, members, tuple(groupings), refused)


def _splits(corpus: Corpus) -> tuple[NDArray[Any], str]:
    names = np.full(len(corpus.table), None, dtype=object)
    try:
        splits = corpus.splits
    except ProtocolError as error:
        official = corpus.official_split() or {}
        names[:] = [official.get(key) for key in corpus.table.column("key")]
        return names, str(error)
    names[:] = NO_SPLIT
    for name in SPLIT_NAMES:
        names[splits.rows(name)] = name
    return names, ""


def _members(corpus: Corpus) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """Return the labels that occur, and who has them."""
    emotion, votes = corpus.table.column("emotion"), corpus.table.column("votes")
    named: list[tuple[str, ...]] = []
    for one, counts in zip(emotion, votes, strict=True):
        if one is not None or not counts:
            named.append((one,) if one is not None else ())
        else:
            most = max(counts.values())
            named.append(tuple(k for k, v in counts.items() if v == most > 0))
    present = {label for one in named for label in one}
    order = [label for label in corpus.labels if label in present]
    order += sorted(present - set(order))
    number = {label: k for k, label in enumerate(order)}
    members = np.zeros((len(named), len(order)), dtype=bool)
    owner = np.repeat(np.arange(len(named)), [len(one) for one in named])
    members[owner, np.array([number[x] for one in named for x in one], np.int64)] = True
    return tuple(order), members


def _lengths(texts: pd.Series[Any], count: Any) -> NDArray[np.float64]:
    return np.array([count(t) if isinstance(t, str) else np.nan for t in texts], dtype=np.float64)


def _ages(values: pd.Series[Any]) -> NDArray[Any]:
    """Return ages as they are, or by decades where they are many numbers."""
    ages = values.to_numpy(dtype=object)
    known = [a for a in ages if isinstance(a, str)]
    if len(set(known)) <= 12 or not all(a.isdecimal() for a in known):
        return ages
    decades = [f"{int(a) // _DECADE * _DECADE}s" if isinstance(a, str) else None for a in ages]
    return np.array(decades, dtype=object)


def _further(extra: NDArray[Any], taken: set[str]) -> dict[str, NDArray[Any]]:
    """Return the further columns with few values; numbers are groups like names.

    Not ``first``, the first of the emotions that tie.
    """
    names = dict.fromkeys(name for one in extra if one for name in one)
    found = {}
    for name in names:
        values = [None if not one else one.get(name) for one in extra]
        if name in {*taken, "first"} or not all(isinstance(v, str | int | None) for v in values):
            continue
        if _FEWEST <= len({v for v in values if v is not None}) <= _MOST:
            column = np.empty(len(values), dtype=object)
            column[:] = [None if v is None else str(v) for v in values]
            found[name] = column
    return found

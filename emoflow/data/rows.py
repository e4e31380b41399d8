"""Utterances as rows of Arrow tables, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from emoflow.types import Rating, Speech, Utterance

__all__ = [
    "ROWS_AT_ONCE",
    "SCHEMA",
    "SpeechFile",
    "keys_of",
    "sorted_parts",
    "take_rows",
    "to_arrow",
    "to_utterance",
]

_JSON = pa.string()  # plain data as JSON text
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("corpus", pa.string()),
        ("speaker", pa.string()),
        ("session", pa.string()),
        ("sentence", pa.string()),
        ("speech_path", pa.string()),
        ("speech_start", pa.float64()),
        ("speech_end", pa.float64()),
        ("speech_size", pa.int64()),
        ("speech_mtime_ns", pa.int64()),
        ("speech_native", pa.bool_()),
        ("seconds", pa.float64()),
        ("text", pa.string()),
        ("signals", _JSON),
        ("face", pa.string()),
        ("emotion", pa.string()),
        ("votes", pa.map_(pa.string(), pa.float64())),
        ("arousal", pa.float64()),
        ("valence", pa.float64()),
        ("raters", _JSON),
        ("sex", pa.string()),
        ("age", pa.string()),
        ("extra", _JSON),
    ]
)
ROWS_AT_ONCE = 4_096
"""Utterances that are Python objects at the same time while a table is made."""

_SORTED_ROWS = 65_536  # rows that are put in order at the same time
_WORDS = ("id", "corpus", "speaker", "session", "sentence", "text", "face", "sex", "age")
_PLAIN = (*_WORDS, "arousal", "valence")
_FILE = ("path", "start", "end", "size", "mtime_ns", "native")
_PLACE = (*(f"speech_{name}" for name in _FILE), "seconds")


@dataclass(frozen=True, slots=True)
class SpeechFile:
    """What the index knows of an audio file without decoding it."""

    seconds: float
    """Duration of the whole file."""
    size: int
    """Bytes."""
    mtime_ns: int
    """Time of the last change, in nanoseconds."""
    native: bool = False
    """Whether decoding it again costs next to nothing."""


def to_arrow(pairs: Sequence[tuple[Utterance, SpeechFile | None]]) -> pa.Table:
    """Return a table of utterances, each given with what is known of its speech's file."""
    some = [u for u, _ in pairs]
    columns: dict[str, list[Any]] = {name: [getattr(u, name) for u in some] for name in _PLAIN}
    places = [_place(u.speech, file) for u, file in pairs]
    columns |= dict(zip(_PLACE, map(list, zip(*places, strict=True)), strict=True))
    columns |= {
        "emotion": [None if u.emotion is None else str(u.emotion) for u in some],
        "votes": [
            None if u.votes is None else [(str(k), float(v)) for k, v in u.votes.items()]
            for u in some
        ],
        "signals": [_json(u.signals) for u in some],
        "raters": [
            _json(u.raters and [(r.rater, r.emotion, r.arousal, r.valence) for r in u.raters])
            for u in some
        ],
        "extra": [_json(u.extra) if u.extra else None for u in some],
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in SCHEMA], schema=SCHEMA)


def to_utterance(row: Mapping[str, Any]) -> Utterance:
    """Return the utterance of one row of :data:`SCHEMA`."""
    path, raters = row["speech_path"], row["raters"]
    return Utterance(
        id=row["id"],
        corpus=row["corpus"],
        speaker=row["speaker"],
        session=row["session"],
        sentence=row["sentence"],
        speech=None if path is None else Speech(path, row["speech_start"], row["speech_end"]),
        text=row["text"],
        signals=None if row["signals"] is None else json.loads(row["signals"]),
        face=row["face"],
        emotion=row["emotion"],
        votes=None if row["votes"] is None else dict(row["votes"]),
        arousal=row["arousal"],
        valence=row["valence"],
        raters=None if raters is None else tuple(Rating(*r) for r in json.loads(raters)),
        sex=row["sex"],
        age=row["age"],
        extra={} if row["extra"] is None else json.loads(row["extra"]),
    )


def keys_of(arrow: pa.Table) -> pa.ChunkedArray:
    """Return the key of every row."""
    return pc.binary_join_element_wise(arrow.column("corpus"), arrow.column("id"), "/")


def sorted_parts(arrow: pa.Table, repeated: Callable[[Utterance], None]) -> Iterator[pa.Table]:
    """Yield the rows in the order of their keys, some at a time.

    Of rows with one key the first one counts; ``repeated`` is called with each of the others.
    """
    # By bytes: the order of UTF-8 is that of code points, like sorted(keys) anywhere else.
    order = pc.sort_indices(keys_of(arrow)).to_numpy().astype(np.int64)
    last = None
    for start in range(0, len(order), _SORTED_ROWS):
        part = take_rows(arrow, order[start : start + _SORTED_ROWS])
        keys = keys_of(part).combine_chunks()
        again = np.zeros(len(keys), bool)
        again[0] = keys[0].as_py() == last
        again[1:] = pc.equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False)
        last = keys[-1].as_py()
        if again.any():
            for row in part.filter(pa.array(again)).to_pylist():
                repeated(to_utterance(row))
            part = part.filter(pa.array(~again)).combine_chunks()
        yield part


def take_rows(arrow: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """Return some rows in the order given, as one chunk.

    Chunk by chunk, since Arrow's own ``take`` may copy whole columns of several chunks first.
    """
    chunks = arrow.to_batches()
    if len(chunks) < 2:
        return arrow.take(pa.array(rows)).combine_chunks()
    ends = np.cumsum([len(chunk) for chunk in chunks])
    chunk_of = np.searchsorted(ends, rows, side="right")
    by_chunk = np.argsort(chunk_of, kind="stable")
    edges = np.searchsorted(chunk_of[by_chunk], np.arange(len(chunks) + 1))
    parts = [
        chunk.take(pa.array(rows[by_chunk[first:last]] - (end - len(chunk))))
        for chunk, end, first, last in zip(chunks, ends, edges, edges[1:], strict=False)
        if first < last
    ]
    if not parts:
        return arrow.slice(0, 0).combine_chunks()
    back = np.empty(len(rows), np.int64)
    back[by_chunk] = np.arange(len(rows))
    return pa.Table.from_batches(parts).combine_chunks().take(pa.array(back))


def _place(speech: Speech | None, file: SpeechFile | None) -> tuple[Any, ...]:
    if speech is None:
        return (None,) * len(_PLACE)
    if file is None:
        seconds = None if speech.end is None else speech.end - speech.start
        return speech.path, speech.start, speech.end, None, None, None, seconds
    end = file.seconds if speech.end is None else min(speech.end, file.seconds)
    facts = file.size, file.mtime_ns, file.native
    return speech.path, speech.start, end, *facts, end - speech.start


def _json(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(
        dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False, sort_keys=True
    )

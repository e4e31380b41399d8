"""A corpus's utterances as one immutable, memory-mapped table.

A row number names an utterance everywhere in emoflow: splits, batches and predictions
hold rows. Rows are sorted by key, so nothing depends on the order of files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from emoflow.data.paths import atomic_path
from emoflow.errors import CorpusError
from emoflow.types import Rating, Speech, Utterance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SpeechFile", "UtteranceTable"]

_JSON = pa.string()  # plain data as JSON text
_SCHEMA = pa.schema(
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
_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True)
class SpeechFile:
    """What the index knows of an audio file without decoding it."""

    seconds: float
    """Duration of the whole file."""
    size: int
    """Bytes."""
    mtime_ns: int
    """Time of the last change, in nanoseconds."""


class UtteranceTable:
    """The utterances of a corpus, one per row, sorted by key.

    Make one with :meth:`build` or :meth:`load`. It pickles by its path once it is loaded
    from a file, so that worker processes share one memory map.

    Columns: ``key``, ``id``, ``corpus``, ``speaker``, ``session``, ``sentence``,
    ``speech_path``, ``speech_start``, ``speech_end`` (seconds), ``speech_size`` (bytes),
    ``speech_mtime_ns``, ``seconds`` (duration of the utterance's speech, NaN without),
    ``text``, ``signals``, ``face``, ``emotion``, ``votes``, ``arousal``, ``valence``,
    ``raters``, ``sex``, ``age``, ``extra``.
    """

    def __init__(self, arrow: pa.Table, path: Path | None = None) -> None:
        self._arrow = arrow
        self._columns = {name: arrow.column(name) for name in arrow.column_names}
        self._path = path

    @classmethod
    def build(
        cls,
        utterances: Iterable[Utterance],
        files: Mapping[str, SpeechFile] | None = None,
    ) -> UtteranceTable:
        """Gather ``utterances`` into a table.

        Parameters
        ----------
        utterances
            In any order.
        files
            Audio path to what is known of that file; it fills in the end of speech that
            has none, the duration, and the size and time by which a change is noticed.

        Raises
        ------
        CorpusError
            If two utterances have the same key.
        """
        rest = iter(utterances)
        parts = [_SCHEMA.empty_table()]
        while chunk := list(islice(rest, _ROWS_AT_ONCE)):
            parts.append(_to_arrow(chunk, files or {}))
        arrow = pa.concat_tables(parts)
        # Sorted in Python: by code points, like sorted(keys) anywhere else.
        keys = _keys(arrow).to_pylist()
        order = sorted(range(len(keys)), key=keys.__getitem__)
        _refuse_duplicates([keys[row] for row in order])
        return cls(arrow.take(pa.array(order, pa.int64())).combine_chunks())

    def save(self, path: str | Path) -> None:
        """Write the table as one Arrow IPC file, all of it or nothing.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        with (
            atomic_path(path) as temporary,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, _SCHEMA) as writer,
        ):
            writer.write_table(self._arrow)

    @classmethod
    def load(cls, path: str | Path) -> UtteranceTable:
        """Map a saved table into memory; nothing is read until it is asked for.

        Raises
        ------
        CorpusError
            If the file is no table of this version.
        """
        path = Path(path)
        try:
            arrow = pa.ipc.open_file(pa.memory_map(str(path), "r")).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise CorpusError(
                f"{path}: not a table of utterances ({error})", f"Delete {path} and run again."
            ) from error
        if not arrow.schema.equals(_SCHEMA):
            raise CorpusError(
                f"{path}: its columns are those of another version of emoflow",
                f"Delete {path} and run again.",
            )
        return cls(arrow, path)

    def __len__(self) -> int:
        return int(self._arrow.num_rows)

    def __iter__(self) -> Iterator[Utterance]:
        for start in range(0, len(self), 1024):
            yield from map(_to_utterance, self._arrow.slice(start, 1024).to_pylist())

    def __getitem__(self, row: int) -> Utterance:
        size = len(self)
        if not -size <= row < size:
            raise IndexError(f"row {row} of a table of {size} utterances")
        row = int(row) % size
        return _to_utterance({name: c[row].as_py() for name, c in self._columns.items()})

    def __repr__(self) -> str:
        return f"UtteranceTable({len(self)} utterances)"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._path is not None:
            return (UtteranceTable.load, (self._path,))
        return (UtteranceTable, (self._arrow,))

    def column(self, name: str, rows: Sequence[int] | NDArray[Any] | None = None) -> NDArray[Any]:
        """Return one column, or its values at ``rows``.

        Numbers come as float64 with NaN for absent, or int64 with -1; everything else as
        objects with ``None`` for absent.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        values = self._arrow.select(["corpus", "id"] if name == "key" else [name])
        if rows is not None:
            values = _take(values, rows)
        column = _keys(values) if name == "key" else values.column(0)
        if pa.types.is_floating(column.type):
            return np.array(column.fill_null(float("nan")).to_numpy(), dtype=np.float64)
        if pa.types.is_integer(column.type):
            return np.array(column.fill_null(-1).to_numpy(), dtype=np.int64)
        if pa.types.is_map(column.type):
            found = [None if v is None else dict(v) for v in column.to_pylist()]
        elif name in ("signals", "raters", "extra"):
            found = [None if v is None else json.loads(v) for v in column.to_pylist()]
        else:
            found = column.to_pylist()
        objects = np.empty(len(found), dtype=object)
        objects[:] = found
        return objects

    def votes(self, labels: Sequence[str]) -> NDArray[np.float64]:
        """Return the votes per label as counted, (utterance, label); 0 where there are none.

        Votes for other labels are left out, so a row may sum to less than its raters.
        """
        column = self._arrow.column("votes").combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # an empty table has no chunk
            column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
        result = np.zeros((len(self), len(labels)))
        lists = pc.fill_null(pc.list_value_length(column.cast(_ENTRIES)), 0)
        owner = np.repeat(np.arange(len(self)), lists.to_numpy(zero_copy_only=False))
        entries = pc.list_flatten(column.cast(_ENTRIES))
        names, counts = entries.field(0), entries.field(1).to_numpy(zero_copy_only=False)
        number = pc.index_in(names, value_set=pa.array(list(labels), pa.string()))
        number = pc.fill_null(number, -1).to_numpy(zero_copy_only=False)
        known = number >= 0
        np.add.at(result, (owner[known], number[known]), counts[known])
        return result

    def rows(self, keys: Iterable[str]) -> NDArray[np.int64]:
        """Return the row of each of ``keys``, in their order.

        Raises
        ------
        CorpusError
            If a key is not in the table; it names the first few.
        """
        wanted = pa.array(list(keys), pa.string())
        found = pc.index_in(wanted, value_set=_keys(self._arrow).combine_chunks())
        if found.null_count:
            missing = wanted.filter(pc.is_null(found)).to_pylist()
            raise CorpusError(
                f"{len(missing)} utterances are not in this corpus: {_some(missing)}",
                "Use the corpus that the list was made from.",
            )
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)

    def select(self, rows: Sequence[int] | NDArray[Any]) -> UtteranceTable:
        """Return a table of some rows, in the order given."""
        return UtteranceTable(_take(self._arrow, rows).combine_chunks())

    def to_pandas(self, rows: Sequence[int] | NDArray[Any] | None = None) -> pd.DataFrame:
        """Return all columns, ``key`` first, or those of ``rows``."""
        import pandas as pd

        table = self if rows is None else self.select(rows)
        return pd.DataFrame({n: table.column(n) for n in ("key", *_SCHEMA.names)})


_ENTRIES = pa.list_(pa.struct([pa.field("key", pa.string(), False), ("value", pa.float64())]))


def _keys(arrow: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(arrow.column("corpus"), arrow.column("id"), "/")


def _take(arrow: pa.Table, rows: Sequence[int] | NDArray[Any]) -> pa.Table:
    numbers = np.asarray(rows, dtype=np.int64).reshape(-1)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < arrow.num_rows:
        raise IndexError(f"rows outside a table of {arrow.num_rows} utterances")
    return arrow.take(pa.array(numbers))


def _to_arrow(utterances: Sequence[Utterance], files: Mapping[str, SpeechFile]) -> pa.Table:
    return pa.Table.from_pylist([_to_row(u, files) for u in utterances], schema=_SCHEMA)


def _to_row(u: Utterance, files: Mapping[str, SpeechFile]) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: getattr(u, name)
        for name in ("id", "corpus", "speaker", "session", "sentence", "text", "face")
    }
    if u.speech is not None:
        known = files.get(u.speech.path)
        end = u.speech.end
        if known is not None:
            end = known.seconds if end is None else min(end, known.seconds)
        row |= {
            "speech_path": u.speech.path,
            "speech_start": u.speech.start,
            "speech_end": end,
            "speech_size": known and known.size,
            "speech_mtime_ns": known and known.mtime_ns,
            "seconds": None if end is None else end - u.speech.start,
        }
    return row | {
        "signals": _json(u.signals),
        "emotion": None if u.emotion is None else str(u.emotion),
        "votes": None if u.votes is None else [(str(k), float(v)) for k, v in u.votes.items()],
        "arousal": u.arousal,
        "valence": u.valence,
        "raters": _json(
            u.raters and [(r.rater, r.emotion, r.arousal, r.valence) for r in u.raters]
        ),
        "sex": u.sex,
        "age": u.age,
        "extra": _json(u.extra) if u.extra else None,
    }


def _json(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(
        dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False, sort_keys=True
    )


def _to_utterance(row: Mapping[str, Any]) -> Utterance:
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


def _refuse_duplicates(keys: Sequence[str]) -> None:
    twice = sorted({a for a, b in pairwise(keys) if a == b})
    if twice:
        raise CorpusError(
            f"{len(twice)} ids occur more than once: {_some(twice)}",
            "Give every utterance of the corpus an id of its own.",
        )


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

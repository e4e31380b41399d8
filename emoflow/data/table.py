"""A corpus's utterances as one immutable, memory-mapped table.

A row number names an utterance everywhere in emoflow: splits, batches and predictions
hold rows. Rows are sorted by key, so nothing depends on the order of files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from emoflow.data.paths import atomic_path
from emoflow.data.progress import batches
from emoflow.data.rows import (
    ROWS_AT_ONCE,
    SCHEMA,
    SpeechFile,
    keys_of,
    sorted_parts,
    take_rows,
    to_arrow,
    to_utterance,
)
from emoflow.errors import CorpusError
from emoflow.types import Utterance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SpeechFile", "UtteranceTable"]


class UtteranceTable:
    """The utterances of a corpus, one per row, sorted by key.

    Make one with :meth:`build` or :meth:`load`. It pickles by its path once it is loaded
    from a file, so that worker processes share one memory map.

    Columns: ``key``, ``id``, ``corpus``, ``speaker``, ``session``, ``sentence``,
    ``speech_path``, ``speech_start``, ``speech_end`` (seconds), ``speech_size`` (bytes),
    ``speech_mtime_ns``, ``speech_native`` (whether reading it costs next to nothing),
    ``seconds`` (duration of the utterance's speech, NaN without), ``text``, ``signals``,
    ``face``, ``emotion``, ``votes``, ``arousal``, ``valence``, ``raters``, ``sex``, ``age``,
    ``extra``.
    """

    def __init__(self, arrow: pa.Table, path: Path | None = None) -> None:
        self._arrow = arrow
        self._columns = {name: arrow.column(name) for name in arrow.column_names}
        self._path = path
        self._keys: NDArray[Any] | None = None

    @classmethod
    def build(
        cls,
        utterances: Iterable[Utterance],
        files: Mapping[str, SpeechFile] | None = None,
    ) -> UtteranceTable:
        """Gather ``utterances`` into a table in memory.

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
        known = files or {}
        pairs = ((u, None if u.speech is None else known.get(u.speech.path)) for u in utterances)
        parts = [SCHEMA.empty_table(), *map(to_arrow, batches(pairs, ROWS_AT_ONCE))]
        repeated: list[Utterance] = []
        arrow = list(sorted_parts(pa.concat_tables(parts), repeated.append))
        if twice := sorted({u.key for u in repeated}):
            raise CorpusError(
                f"{len(twice)} ids occur more than once: {_some(twice)}",
                "Give every utterance of the corpus an id of its own.",
            )
        return cls(pa.concat_tables([SCHEMA.empty_table(), *arrow]).combine_chunks())

    @classmethod
    def write(
        cls,
        path: str | Path,
        pairs: Iterable[tuple[Utterance, SpeechFile | None]],
        repeated: Callable[[Utterance], None],
    ) -> UtteranceTable:
        """Gather any number of utterances into a table in a file, all of it or nothing.

        Only some thousand utterances are in memory at a time, and the key of each.

        Parameters
        ----------
        path
            The file.
        pairs
            Utterances in any order, each with what is known of its speech's file.
        repeated
            Is called with each utterance whose key one before it has; it is left out.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        with atomic_path(path) as temporary:
            unsorted = temporary.with_suffix(".unsorted")
            try:
                _write(unsorted, map(to_arrow, batches(pairs, ROWS_AT_ONCE)))
                with pa.memory_map(str(unsorted), "r") as source:
                    rows = pa.ipc.open_file(source).read_all()
                    _write(temporary, sorted_parts(rows, repeated))
                    del rows
            finally:
                unsorted.unlink(missing_ok=True)
        return cls.load(path)

    def save(self, path: str | Path) -> None:
        """Write the table as one Arrow IPC file, all of it or nothing.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        with atomic_path(path) as temporary:
            _write(temporary, [self._arrow])

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
        if not arrow.schema.equals(SCHEMA):
            raise CorpusError(
                f"{path}: its columns are those of another version of emoflow",
                f"Delete {path} and run again.",
            )
        return cls(arrow, path)

    def __len__(self) -> int:
        return int(self._arrow.num_rows)

    def __iter__(self) -> Iterator[Utterance]:
        for start in range(0, len(self), 1024):
            yield from map(to_utterance, self._arrow.slice(start, 1024).to_pylist())

    def __getitem__(self, row: int) -> Utterance:
        size = len(self)
        if not -size <= row < size:
            raise IndexError(f"row {row} of a table of {size} utterances")
        row = int(row) % size
        return to_utterance({name: c[row].as_py() for name, c in self._columns.items()})

    def __repr__(self) -> str:
        return f"UtteranceTable({len(self)} utterances)"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._path is not None:
            return (UtteranceTable.load, (self._path,))
        return (UtteranceTable, (self._arrow,))

    def column(self, name: str, rows: Sequence[int] | NDArray[Any] | None = None) -> NDArray[Any]:
        """Return one column, or its values at ``rows``.

        Numbers come as float64 with NaN for absent, int64 with -1, or bool with False; all else
        as objects with ``None`` for absent.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        if name == "key":
            return self._key_column(rows)
        columns = self._arrow.select([name])
        if rows is not None:
            columns = take_rows(columns, self._inside(rows))
        column = columns.column(0)
        if pa.types.is_floating(column.type):
            return np.array(column.fill_null(float("nan")).to_numpy(), dtype=np.float64)
        if pa.types.is_integer(column.type):
            return np.array(column.fill_null(-1).to_numpy(), dtype=np.int64)
        if pa.types.is_boolean(column.type):
            return np.array(column.fill_null(False).to_numpy(), dtype=np.bool_)
        if pa.types.is_string(column.type) and name not in _JSON:
            return np.array(column.to_numpy(), dtype=object)  # equal texts are one object
        read = dict if pa.types.is_map(column.type) else json.loads
        objects = np.empty(len(column), dtype=object)
        objects[:] = [None if v is None else read(v) for v in column.to_pylist()]
        return objects

    def codes(self, name: str) -> tuple[NDArray[np.int64], pa.StringArray]:
        """Return a column of text as numbers, and the distinct values that they count through.

        The numbers are (utterance,), -1 where there is none or an empty text; values stand in
        the order of the rows in which they occur first.
        """
        chunks = self._arrow.column(name).dictionary_encode().chunks  # they share one dictionary
        numbers = [c.indices.fill_null(-1).to_numpy(zero_copy_only=False) for c in chunks]
        codes = np.concatenate([np.empty(0, np.int64), *numbers])
        values = chunks[-1].dictionary if chunks else pa.array([], pa.string())
        empty = pc.index(values, "").as_py()
        if empty >= 0:
            codes[codes == empty] = -1
        return codes, values

    def present(self, name: str) -> NDArray[np.bool_]:
        """Return whether there is a value in a column, (utterance,)."""
        return np.asarray(self._arrow.column(name).is_valid().to_numpy(), dtype=np.bool_)

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Yield every audio file once: path, bytes and time of change in ns, -1 if unknown."""
        names = ["speech_path", "speech_size", "speech_mtime_ns"]
        found = self._arrow.select(names).group_by(names, use_threads=False).aggregate([])
        for batch in found.to_batches(max_chunksize=ROWS_AT_ONCE):
            columns = (batch.column(name).to_pylist() for name in names)
            for path, size, mtime_ns in zip(*columns, strict=True):
                if path is not None:
                    yield path, -1 if size is None else size, -1 if mtime_ns is None else mtime_ns

    def digest(self, name: str) -> str:
        """Return a hash of what stands in a column of text."""
        digest, column = blake2b(digest_size=16), self._arrow.column(name)
        for start in range(0, len(self), ROWS_AT_ONCE):
            part = column.slice(start, ROWS_AT_ONCE)
            lengths = pc.binary_length(part).fill_null(-1).to_numpy()
            digest.update(lengths.astype("<i4").tobytes())
            digest.update("".join(filter(None, part.to_pylist())).encode())
        return digest.hexdigest()

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
        wanted = list(keys)
        found = _position(wanted, keys_of(self._arrow))
        missing = np.flatnonzero(found < 0)
        if len(missing):
            raise CorpusError(
                f"{len(missing)} utterances are not in this corpus: "
                f"{_some([wanted[i] for i in missing])}",
                "Use the corpus that the list was made from.",
            )
        return found

    def find(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each of ``names``, keys or else ids; -1 where there is none.

        Of several rows with one id it is the last.
        """
        found = _position(names, keys_of(self._arrow))
        if (found < 0).any():
            ids = self._arrow.column("id").combine_chunks()[::-1]
            backwards = _position(names, ids)
            by_id = np.where(backwards < 0, -1, len(self) - 1 - backwards)
            found = np.where(found < 0, by_id, found)
        return found

    def select(self, rows: Sequence[int] | NDArray[Any]) -> UtteranceTable:
        """Return a table of some rows, in the order given."""
        return UtteranceTable(take_rows(self._arrow, self._inside(rows)))

    def to_pandas(self, rows: Sequence[int] | NDArray[Any] | None = None) -> pd.DataFrame:
        """Return all columns, ``key`` first, or those of ``rows``."""
        import pandas as pd

        table = self if rows is None else self.select(rows)
        return pd.DataFrame({n: table.column(n) for n in ("key", *SCHEMA.names)})

    def _key_column(self, rows: Sequence[int] | NDArray[Any] | None) -> NDArray[Any]:
        if rows is not None and self._keys is None:
            few = take_rows(self._arrow.select(["corpus", "id"]), self._inside(rows))
            return np.array(keys_of(few).to_numpy(), dtype=object)
        if self._keys is None:  # kept: splits, audit and reports name utterances
            self._keys = np.array(keys_of(self._arrow).to_numpy(), dtype=object)
        return self._keys.copy() if rows is None else self._keys[self._inside(rows)]

    def _inside(self, rows: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
        numbers = np.asarray(rows, dtype=np.int64).reshape(-1)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise IndexError(f"rows outside a table of {len(self)} utterances")
        return numbers


_ENTRIES = pa.list_(pa.struct([pa.field("key", pa.string(), False), ("value", pa.float64())]))
_JSON = ("signals", "raters", "extra")


def _write(path: Path, parts: Iterable[pa.Table]) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for part in parts:
            writer.write_table(part)


def _position(names: Sequence[str], values: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """Return where each name stands first among ``values``, -1 for nowhere."""
    found = pc.index_in(pa.array(names, pa.string()), value_set=values)
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

"""Waveforms by row, decoded and resampled once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emoflow.data.audio import read_speech
from emoflow.data.paths import cache_folder
from emoflow.data.progress import in_threads, progress
from emoflow.data.store import FeatureStore
from emoflow.errors import AudioError, CorpusError
from emoflow.types import SAMPLE_RATE, Speech

if TYPE_CHECKING:
    from emoflow.data.table import UtteranceTable

__all__ = ["SpeechReader"]

_VERSION = 2


class SpeechReader:
    """Gives the waveform of a row: ``reader[row]`` is (sample,) float32, mono, 16 kHz.

    What costs time to decode (other rates, channels or formats than 16 kHz mono 16-bit WAV)
    is kept in a store by :meth:`prepare`; without it, it is decoded at every call. Either
    way the file has to be the one that was indexed. It pickles, for worker processes.

    Parameters
    ----------
    table
        The corpus's table.
    root
        Folder of the store; default: ``waveforms`` in the cache folder.
    """

    def __init__(self, table: UtteranceTable, *, root: str | Path | None = None) -> None:
        self.table = table
        self.root = root
        self._store: FeatureStore | None = None
        self._columns: tuple[NDArray[Any], ...] | None = None

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: int) -> NDArray[np.float32]:
        """Return a waveform; read-only where it comes from the store.

        Raises
        ------
        AudioError
            If the utterance has no speech, or its file cannot be read.
        CorpusError
            If the file is not the one that was indexed.
        """
        speech, size, mtime_ns = self._place(row)
        _check_unchanged(speech.path, size, mtime_ns)
        store = self._opened()
        key = _key(speech, size, mtime_ns)
        return store[key][:, 0] if key in store else read_speech(speech)

    def prepare(self, rows: Sequence[int] | NDArray[Any] | None = None) -> int:
        """Decode the speech of ``rows`` (default: all) that costs time; return how many.

        What is in the store already is not decoded again; an interrupted call carries on.

        Raises
        ------
        AudioError, CorpusError
            As for a single row.
        StorageError
            If the store cannot be written.
        """
        wanted = np.arange(len(self)) if rows is None else np.asarray(rows, np.int64)
        costly = self.table.present("speech_path") & ~self.table.column("speech_native")
        places = [self._place(row) for row in wanted[costly[wanted]].tolist()]
        by_key = {_key(*place): place for place in places}
        store = self._opened()
        missing = store.missing(by_key)
        if not missing:
            return 0

        def decode(key: str) -> NDArray[np.float32]:
            speech, size, mtime_ns = by_key[key]
            _check_unchanged(speech.path, size, mtime_ns)
            return read_speech(speech)

        threads, done = min(8, os.cpu_count() or 1), 0
        found = in_threads(decode, missing, threads=threads, ahead=4 * threads)
        with store:
            for key, waveform in progress(found, "Decoding speech to 16 kHz", total=len(missing)):
                done += store.append(key, waveform)
        return done

    def __getstate__(self) -> dict[str, Any]:
        return {"table": self.table, "root": self.root, "_store": self._store, "_columns": None}

    def _opened(self) -> FeatureStore:
        if self._store is None:
            about = {"what": "waveforms", "rate": SAMPLE_RATE, "version": _VERSION}
            root = cache_folder() / "waveforms" if self.root is None else self.root
            self._store = FeatureStore.open(about, 1, "float32", root=root)
        return self._store

    def _facts(self) -> tuple[NDArray[Any], ...]:
        if self._columns is None:
            names = ("path", "start", "end", "size", "mtime_ns")
            self._columns = tuple(self.table.column(f"speech_{name}") for name in names)
        return self._columns

    def _place(self, row: int) -> tuple[Speech, int, int]:
        path, start, end, size, mtime_ns = (column[row] for column in self._facts())
        if path is None:
            raise AudioError(
                f"{self.table[row].key}: has no speech",
                "Leave it out where speech is needed, or fill in its speech.",
            )
        start = 0.0 if np.isnan(start) else float(start)
        speech = Speech(path, start, None if np.isnan(end) else float(end))
        return speech, int(size), int(mtime_ns)


def _key(speech: Speech, size: int, mtime_ns: int) -> str:
    return "\0".join(map(str, (speech.path, size, mtime_ns, speech.start, speech.end)))


def _check_unchanged(path: str, size: int, mtime_ns: int) -> None:
    """Refuse a file that is not as it was indexed; -1 is not known."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise CorpusError(
            f"{path}: was there when the corpus was indexed, now it cannot be found "
            f"({error.strerror})",
            "Leave the corpus as it is during a run; put the file back, or start again.",
        ) from error
    if size >= 0 and (found.st_size, found.st_mtime_ns) != (size, mtime_ns):
        raise CorpusError(
            f"{path}: changed since the corpus was indexed",
            "Leave the corpus as it is during a run; start again to index it anew.",
        )

"""A corpus's biosignals: recordings read one by one, and what a front end makes of them, kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoflow.data.paths import cache_folder
from emoflow.data.progress import progress
from emoflow.data.store import FeatureStore
from emoflow.data.table import UtteranceTable
from emoflow.errors import ConfigError
from emoflow.traces import SignalRecording
from emoflow.types import Needs, SignalFrontEnd, Utterance

__all__ = ["ReadSignals", "SignalReader", "recordings", "signal_reader"]

ReadSignals = Callable[[Mapping[str, str], Sequence[Utterance]], SignalRecording]
"""The files of a recording, and all utterances in it, to the recording."""

_VERSION = 1
"""Raised when a corpus's files are read otherwise."""
_Rows = NDArray[np.int64]


def recordings(
    table: UtteranceTable, rows: Sequence[int] | _Rows, read: ReadSignals
) -> Iterator[tuple[_Rows, SignalRecording]]:
    """Yield each recording once, with those of ``rows`` whose utterances have it.

    Rows without signals are left out; a recording is read when its turn comes.
    """
    for files, members in _by_files(table, rows).items():
        utterances = [table[row] for row in members]
        yield np.array(members, np.int64), read(json.loads(files), utterances)


def _by_files(table: UtteranceTable, rows: Sequence[int] | _Rows) -> dict[str, list[int]]:
    """Return the files of recordings, as JSON, to the rows that have them."""
    numbers = np.asarray(rows, np.int64)
    found: dict[str, list[int]] = {}
    for row, files in zip(numbers.tolist(), table.column("signals", numbers), strict=True):
        if files:
            found.setdefault(json.dumps(files, sort_keys=True), []).append(row)
    return found


class SignalReader:
    """Gives what a front end makes of an utterance's signals, computed once and kept.

    :meth:`prepare` fills a store, ``reader[row]`` reads it. It pickles, for worker processes.

    Parameters
    ----------
    table
        The corpus's table.
    front_end
        Turns the traces of a recording into numbers.
    """

    def __init__(self, table: UtteranceTable, front_end: SignalFrontEnd) -> None:
        self.table = table
        self.front_end = front_end
        about = {"version": _VERSION, "front_end": front_end.to_plain()}
        # The numbers, then 1 for each that is known.
        root = cache_folder() / "signals"
        self._store = FeatureStore.open(about, 2 * front_end.width, "float32", root=root)
        self._keys: dict[int, str] = {}

    def prepare(self, rows: Sequence[int] | _Rows, read: ReadSignals) -> int:
        """Compute what the store misses for ``rows`` and return how many that were.

        Raises
        ------
        StorageError
            If the store cannot be written.
        """
        self._keys |= self._names(rows)
        missing = set(self._store.missing(self._keys.values()))
        wanted = np.array([row for row, key in self._keys.items() if key in missing], np.int64)
        if not len(wanted):
            return 0
        found = recordings(self.table, wanted, read)
        count = len(_by_files(self.table, wanted))
        with self._store:
            for members, recording in progress(found, "Reading biosignals", total=count):
                for row, id in zip(members.tolist(), self.table.column("id", members), strict=True):
                    self._store.append(self._keys[row], self._numbers(recording, id))
        return len(wanted)

    def __getitem__(self, row: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
        """Return numbers (step, width) and which of them are known; ``None`` without any."""
        key = self._keys.get(row)
        if key is None:
            return None
        stored = self._store[key]
        width = self.front_end.width
        return (stored[:, :width], stored[:, width:] > 0) if len(stored) else None

    def _numbers(self, recording: SignalRecording, id: str) -> NDArray[np.float32]:
        """Return (step, 2 · width), without a step where nothing is known."""
        width = self.front_end.width
        if id not in recording.spans:
            return np.empty((0, 2 * width), np.float32)
        values, known = self.front_end(recording.traces, *recording.spans[id])
        if not known.any():
            return np.empty((0, 2 * width), np.float32)
        return np.concatenate([np.where(known, values, 0), known], axis=1).astype(np.float32)

    def _names(self, rows: Sequence[int] | _Rows) -> dict[int, str]:
        """Return row to a name for its signals: files (path, size and time), id, extra columns."""
        names: dict[int, str] = {}
        for files, members in _by_files(self.table, rows).items():
            state = [_state(path) for path in json.loads(files).values()]
            columns = [self.table.column(n, np.array(members, np.int64)) for n in ("id", "extra")]
            for row, id, extra in zip(members, *columns, strict=True):
                text = json.dumps([files, state, id, extra], sort_keys=True)
                names[row] = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return names


def signal_reader(table: UtteranceTable, needs: Needs, read: ReadSignals) -> SignalReader | None:
    """Return a reader of every row's signals, ready to be asked; ``None`` if none are needed.

    Raises
    ------
    ConfigError
        If the needs name no front end.
    """
    if "signals" not in needs.modalities:
        return None
    if needs.signals is None:
        raise ConfigError(
            "the task reads biosignals but its needs name no front end",
            "Give Needs signals, such as emoflow.frontends.signals.SignalFeatureInput().",
        )
    reader = SignalReader(table, needs.signals)
    reader.prepare(np.arange(len(table)), read)
    return reader


def _state(path: str) -> Any:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]

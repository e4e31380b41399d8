"""What only decoding tells about speech: equal recordings, silence, broken samples."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoflow.data.audio import decode_speech, hash_samples, non_finite_error
from emoflow.data.paths import atomic_path, cache_folder
from emoflow.data.progress import in_threads, progress
from emoflow.data.recording import Recording, describe_recording
from emoflow.data.table import UtteranceTable
from emoflow.errors import CorpusError, EmoflowError
from emoflow.types import Speech

__all__ = ["SpeechFacts", "speech_facts"]

_CUES = Recording._fields
_KEY = np.dtype(
    [("path", "S16"), ("size", "<i8"), ("mtime_ns", "<i8"), ("start", "<f8"), ("end", "<f8")]
)
_BYTES = np.dtype(("S", _KEY.itemsize))  # a key as a whole, to be sorted and compared
_FACT = np.dtype([("key", _BYTES), ("hash", "V16"), ("peak", "<f4"), *((n, "<f4") for n in _CUES)])
_VERSION = 3
_SAVE_EVERY_SECONDS = 30.0
_SAVE_EVERY = 65_536  # facts

_Fact = tuple[bytes, float, tuple[float, ...]]
"""Hash, peak, and the values of a :class:`Recording`."""


@dataclass(frozen=True)
class SpeechFacts:
    """Facts per utterance, in the order of the rows that were asked for."""

    hash: tuple[str | None, ...]
    """Names what is heard; ``None`` without speech, for silence, and for broken speech."""
    peak: NDArray[np.float32]
    """(utterance,) largest magnitude, full scale is 1; NaN without usable speech."""
    problems: Mapping[int, EmoflowError]
    """Row in the table to what is wrong with its speech: unreadable or non-finite."""
    recording: Mapping[str, NDArray[np.float64]]
    """Field of :class:`~emoflow.data.recording.Recording` to (utterance,), NaN where unknown."""

    @property
    def silent(self) -> NDArray[np.bool_]:
        """(utterance,) whether every sample is zero."""
        return np.asarray(self.peak == 0)

    def of(self, rows: NDArray[np.int64]) -> SpeechFacts:
        """Return the facts of some rows without problems, in their order."""
        recording = {name: values[rows] for name, values in self.recording.items()}
        return SpeechFacts(tuple(self.hash[row] for row in rows), self.peak[rows], {}, recording)


def speech_facts(
    table: UtteranceTable,
    rows: Sequence[int] | NDArray[Any] | None = None,
    *,
    what: str = "Listening to every utterance",
) -> SpeechFacts:
    """Decode the speech of ``rows`` (all of them by default) once, and say what is in it.

    Facts are kept under the cache folder by path, size, time of change and span, so only
    what is new or changed is decoded. An interrupted call carries on where it was.

    Raises
    ------
    StorageError
        If the cache cannot be written.
    """
    numbers = np.arange(len(table)) if rows is None else np.asarray(rows, dtype=np.int64)
    file_of, files = table.codes("speech_path")
    paths: list[str] = files.to_pylist()
    spoken = np.flatnonzero(file_of[numbers] >= 0)
    file_of, start, end = (
        values[numbers[spoken]]
        for values in (file_of, table.column("speech_start"), table.column("speech_end"))
    )
    keys = _keys(table, numbers[spoken], file_of, paths)
    cache = _Cache(paths)
    wanted = np.flatnonzero(cache.find(keys) < 0).tolist()
    problems: dict[int, EmoflowError] = {}
    threads = min(8, os.cpu_count() or 1)

    def hear(i: int) -> _Fact | EmoflowError:
        return _listen(paths[file_of[i]], float(start[i]), float(end[i]))

    results = in_threads(hear, wanted, threads=threads, ahead=threads * 4)
    for i, fact in progress(results, what, total=len(wanted)):
        if isinstance(fact, EmoflowError):
            problems[int(numbers[spoken[i]])] = fact
        else:
            cache.add(keys[i], fact)
    cache.save()

    place = cache.find(keys)
    known, facts = spoken[place >= 0], cache.facts[place[place >= 0]]
    broken = ~np.isfinite(facts["peak"])
    for i, path in zip(known[broken], file_of[place >= 0][broken], strict=True):
        problems[int(numbers[i])] = non_finite_error(paths[path])
    hashes: list[str | None] = [None] * len(numbers)
    heard = ~broken & (facts["peak"] > 0)
    for i, name in zip(known[heard].tolist(), facts["hash"][heard].tolist(), strict=True):
        hashes[i] = name.hex()
    peak = np.full(len(numbers), np.nan, np.float32)
    peak[known] = np.where(broken, np.nan, facts["peak"])
    cues = {name: np.full(len(numbers), np.nan) for name in _CUES}
    for name, values in cues.items():
        values[known] = facts[name]
    return SpeechFacts(tuple(hashes), peak, dict(sorted(problems.items())), cues)


def _listen(path: str, start: float, end: float) -> _Fact | EmoflowError:
    """Return the facts of one utterance's speech; its peak is infinite for non-finite samples."""
    try:
        samples, rate = decode_speech(Speech(path, start, None if np.isnan(end) else end))
    except CorpusError as error:
        return error
    peak = float(max(samples.max(), -samples.min()))  # NaN as soon as one sample is NaN
    name = bytes.fromhex(hash_samples(samples, rate))
    if not np.isfinite(peak):
        return name, np.inf, (np.nan,) * len(_CUES)
    return name, peak, describe_recording(samples, rate)


def _keys(
    table: UtteranceTable, rows: NDArray[np.int64], file_of: NDArray[np.int64], paths: list[str]
) -> NDArray[np.bytes_]:
    """Return what facts are kept by: the file, its size and time of change, and the span."""
    keys = np.zeros(len(rows), _KEY)
    keys["path"] = np.array([_name(path) for path in paths], "S16")[file_of] if paths else b""
    for name in _KEY.names[1:]:  # type: ignore[index]
        keys[name] = table.column(f"speech_{name}")[rows]
    return keys.view(_BYTES)


def _name(path: str) -> bytes:
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).digest()


class _Cache:
    """Facts of one corpus folder in one file; whoever writes last loses nothing but time."""

    def __init__(self, paths: Sequence[str]) -> None:
        folders = {os.path.abspath(folder) for folder in set(map(os.path.dirname, paths))}
        folder = os.path.commonpath(folders or {"/"})
        name = hashlib.blake2b(f"{_VERSION} {folder}".encode(), digest_size=10).hexdigest()
        self._path = cache_folder() / "speech" / f"{name}.npy"
        self._saved = time.monotonic()
        self._new: list[tuple[Any, ...]] = []
        self.facts = _read(self._path) if paths else np.empty(0, _FACT)
        """Sorted by key, every key once."""

    def find(self, keys: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Return the place of each key in :attr:`facts`, -1 where it is not there."""
        if not len(self.facts):
            return np.full(len(keys), -1)
        place = np.searchsorted(self.facts["key"], keys).clip(max=len(self.facts) - 1)
        return np.where(self.facts["key"][place] == keys, place, -1)

    def add(self, key: bytes, fact: _Fact) -> None:
        name, peak, recording = fact
        self._new.append((key, name, peak, *recording))
        late = time.monotonic() - self._saved > _SAVE_EVERY_SECONDS
        if late or len(self._new) >= _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        if not self._new:
            return
        # What another process found meanwhile stays.
        facts = np.concatenate([np.array(self._new, _FACT), _read(self._path)])
        _, first = np.unique(facts["key"], return_index=True)
        self.facts, self._new = facts[first], []
        with atomic_path(self._path) as temporary, open(temporary, "wb") as file:
            np.save(file, self.facts)
        self._saved = time.monotonic()


def _read(path: Path) -> NDArray[Any]:
    try:
        facts: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return np.empty(0, _FACT)
    return facts if facts.dtype == _FACT else np.empty(0, _FACT)

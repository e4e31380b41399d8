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
from emoflow.errors import EmoflowError
from emoflow.types import Speech

__all__ = ["SpeechFacts", "speech_facts"]

_CUES = Recording._fields
_FACT = np.dtype([("key", "S16"), ("hash", "S16"), ("peak", "<f4"), *((n, "<f4") for n in _CUES)])
_VERSION = 2
_SAVE_EVERY_SECONDS = 30.0

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
    names = ("path", "start", "end", "size", "mtime_ns")
    columns = [table.column(f"speech_{name}", numbers) for name in names]
    spans = [span if span[0] is not None else None for span in zip(*columns, strict=True)]
    keys = [None if s is None else _key(s) for s in spans]
    cache = _Cache(table, [s[0] for s in spans if s is not None])
    wanted = [i for i, key in enumerate(keys) if key is not None and key not in cache.facts]
    problems: dict[int, EmoflowError] = {}
    threads = min(8, os.cpu_count() or 1)
    results = in_threads(lambda i: _listen(spans[i]), wanted, threads=threads, ahead=threads * 4)
    for i, fact in progress(results, what, total=len(wanted)):
        if isinstance(fact, EmoflowError):
            problems[int(numbers[i])] = fact
        else:
            cache.add(keys[i], fact)
    cache.save()

    hashes: list[str | None] = []
    peak = np.full(len(numbers), np.nan, np.float32)
    recording = np.full((len(_CUES), len(numbers)), np.nan)
    for i, key in enumerate(keys):
        known = None if key is None else cache.facts.get(key)
        hashes.append(known[0].hex() if known is not None and known[1] > 0 else None)
        if known is not None:
            peak[i], recording[:, i] = known[1], known[2]
            if not np.isfinite(known[1]):
                problems[int(numbers[i])] = non_finite_error(spans[i][0])  # type: ignore[index]
                hashes[i] = None
    peak[~np.isfinite(peak)] = np.nan
    cues = dict(zip(_CUES, recording, strict=True))
    return SpeechFacts(tuple(hashes), peak, dict(sorted(problems.items())), cues)


def _listen(span: tuple[Any, ...] | None) -> _Fact | EmoflowError:
    """Return the facts of one utterance's speech; its peak is infinite for non-finite samples."""
    assert span is not None
    path, start, end, *_ = span
    try:
        samples, rate = decode_speech(Speech(path, start, None if np.isnan(end) else end))
    except EmoflowError as error:
        return error
    peak = float(max(samples.max(), -samples.min()))  # NaN as soon as one sample is NaN
    name = bytes.fromhex(hash_samples(samples, rate))
    if not np.isfinite(peak):
        return name, np.inf, (np.nan,) * len(_CUES)
    return name, peak, describe_recording(samples, rate)


def _key(span: tuple[Any, ...]) -> bytes:
    text = "\0".join(map(str, span))
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


class _Cache:
    """Facts of one corpus folder in one file; whoever writes last loses nothing but time."""

    def __init__(self, table: UtteranceTable, paths: Sequence[str]) -> None:
        folder = os.path.commonpath({os.path.dirname(os.path.abspath(p)) for p in paths} or {"/"})
        name = hashlib.blake2b(f"{_VERSION} {folder}".encode(), digest_size=10).hexdigest()
        self._path = cache_folder() / "speech" / f"{name}.npy"
        self._saved = time.monotonic()
        self._new = 0
        self.facts = _read(self._path)

    def add(self, key: bytes | None, fact: _Fact) -> None:
        assert key is not None
        self.facts[key] = fact
        self._new += 1
        if time.monotonic() - self._saved > _SAVE_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        if not self._new:
            return
        self.facts = _read(self._path) | self.facts  # what another process found meanwhile
        rows = np.array([(k, h, p, *r) for k, (h, p, r) in self.facts.items()], _FACT)
        with atomic_path(self._path) as temporary, open(temporary, "wb") as file:
            np.save(file, rows)
        self._new, self._saved = 0, time.monotonic()


def _read(path: Path) -> dict[bytes, _Fact]:
    try:
        rows = np.load(path, allow_pickle=False)
        if rows.dtype != _FACT:
            return {}
    except (OSError, ValueError, EOFError):
        return {}
    # numpy strips zero bytes at the end of fixed-width bytes
    keys, hashes = (rows[name].tolist() for name in ("key", "hash"))
    peaks = rows["peak"].tolist()
    recordings = zip(*(rows[name].tolist() for name in _CUES), strict=True)
    return {
        k.ljust(16, b"\0"): (h.ljust(16, b"\0"), p, r)
        for k, h, p, r in zip(keys, hashes, peaks, recordings, strict=True)
    }

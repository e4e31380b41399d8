"""Index a corpus: read it once, check every utterance, keep the table until a file changes."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from emoflow import __version__
from emoflow.data.archives import unpack_first
from emoflow.data.audio import inspect_audio, span_error, span_fits
from emoflow.data.paths import atomic_write, cache_folder, clear_old
from emoflow.data.progress import batches, in_threads, progress
from emoflow.data.table import SpeechFile, UtteranceTable
from emoflow.errors import CorpusError, EmoflowError
from emoflow.types import Speech, Utterance

__all__ = ["FileFact", "Findings", "Index", "Skip", "list_files", "load_index"]

BadUtterance = Literal["error", "skip"]
_VERSION = 1  # of the index's own format and checks
_CHUNK = 32  # utterances, or files, that a thread looks at in one go
_KNOWN_FILES = 65_536  # whose headers are remembered: many utterances may lie in one file
_FOLDER_FIX = "Give the corpus's folder with --data.root PATH."
_SKIP_FIX = "Repair it, or leave it out and count it with data.on_bad_utterance: skip."


class FileFact(NamedTuple):
    """By what a changed file is noticed."""

    path: str
    size: int
    """Bytes."""
    mtime_ns: int


class Skip(NamedTuple):
    """An utterance that was left out, and why; every report lists it."""

    id: str
    file: str
    reason: str


class Findings:
    """What a loader comes across: oddities that it counts, utterances that it leaves out.

    Parameters
    ----------
    on_bad_utterance
        ``error`` stops at the first bad utterance, ``skip`` leaves it out and counts it.
    """

    def __init__(self, on_bad_utterance: BadUtterance = "error") -> None:
        self.on_bad_utterance = on_bad_utterance
        self.skipped: list[Skip] = []
        self.notes: Counter[str] = Counter()

    def note(self, kind: str, count: int = 1) -> None:
        """Count an oddity that was survived, such as ``"transcripts decoded with loss"``."""
        self.notes[kind] += count

    def skip(self, id: str, file: str | Path, reason: str | EmoflowError) -> None:
        """Leave an utterance out, or stop at it: as ``on_bad_utterance`` says.

        Raises
        ------
        CorpusError
            With ``on_bad_utterance="error"``; ``reason`` itself when it is an error.
        """
        if self.on_bad_utterance == "error":
            if isinstance(reason, EmoflowError):
                raise reason
            raise CorpusError(f"{file}: utterance {id}: {reason}", _SKIP_FIX)
        text = reason.what if isinstance(reason, EmoflowError) else reason
        self.skipped.append(Skip(id, str(file), text))


@dataclass(frozen=True)
class Index:
    """A corpus, read and checked."""

    table: UtteranceTable
    skipped: tuple[Skip, ...]
    notes: Mapping[str, int]
    """Oddities that were survived: kind to count."""


def list_files(root: str | Path) -> Iterator[FileFact]:
    """Yield every file below ``root``; hidden files and folders are passed over.

    Raises
    ------
    CorpusError
        If ``root`` is not a folder that can be read.
    """
    folders = [str(root)]
    seen: set[tuple[int, int]] = set()  # a link may lead back up
    while folders:
        folder = folders.pop()
        try:
            facts = os.stat(folder)
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        folders.append(entry.path)
                    elif entry.is_file():
                        facts = entry.stat()
                        yield FileFact(entry.path, facts.st_size, facts.st_mtime_ns)
        except FileNotFoundError as error:
            raise CorpusError(f"{folder}: no such folder", _FOLDER_FIX) from error
        except NotADirectoryError as error:
            raise CorpusError(
                f"{folder}: a file, not a folder", unpack_first(folder, _FOLDER_FIX)
            ) from error
        except PermissionError as error:
            raise CorpusError(
                f"{folder}: may not be read", "Make the folder readable for this user."
            ) from error


def load_index(
    corpus: str,
    options: Mapping[str, Any],
    files: Callable[[], Iterable[tuple[str, int, int]]],
    utterances: Callable[[Findings], Iterable[Utterance]],
    on_bad_utterance: BadUtterance = "error",
    *,
    scale: tuple[float, float] | None = None,
    where: str = "",
) -> Index:
    """Return the index of a corpus: from the cache, or read anew when any file changed.

    Parameters
    ----------
    corpus
        Its name.
    options
        Plain data: whatever changes what ``utterances`` yields.
    files
        Lists the corpus's files as (path, bytes, time of change in ns).
    utterances
        Reads the corpus; called only when the cache has nothing for these files.
    on_bad_utterance
        What to do with an utterance that fails a check: audio that is missing, unreadable,
        empty or below 8 kHz, a span outside its file, a rating that is not a number or
        outside ``scale``, nothing to see or hear at all, an id that was there before.
    scale
        Lowest and highest arousal and valence; ``None`` checks only that they are finite.
    where
        The corpus's folder or file, for messages.

    Raises
    ------
    CorpusError
        If there is no utterance at all, or a bad one under ``on_bad_utterance="error"``.
    StorageError
        If the cache cannot be written.
    """
    listing = sorted(FileFact(*f) for f in files())
    recipe = [_VERSION, __version__, corpus, dict(options), on_bad_utterance, scale]
    home = cache_folder() / "index" / f"{_plain(corpus)}-{_digest(recipe)}"
    arrow, facts = (home / f"{_digest(listing)}{end}" for end in (".arrow", ".json"))
    found = _load(arrow, facts)
    if found is not None and _unchanged(found.table, {f.path for f in listing}):
        return found

    findings = Findings(on_bad_utterance)
    checked = progress(_checked(utterances(findings), findings, scale), f"Reading {corpus}")
    first = next(checked, None)
    if first is None:
        raise _nothing(where or corpus, findings)

    def again(u: Utterance) -> None:
        file = "" if u.speech is None else u.speech.path
        findings.skip(u.id, file, "its id occurs a second time")

    table = UtteranceTable.write(arrow, chain([first], checked), again)
    skipped = [s._asdict() for s in findings.skipped]
    record = {"skipped": skipped, "notes": dict(findings.notes)}
    atomic_write(facts, json.dumps(record, ensure_ascii=False, indent=1))
    clear_old(home, keep=arrow.stem)
    return Index(table, tuple(findings.skipped), dict(findings.notes))


def _checked(
    utterances: Iterable[Utterance], findings: Findings, scale: tuple[float, float] | None
) -> Iterator[tuple[Utterance, SpeechFile | None]]:
    """Yield the good utterances; their files' headers are read some way ahead, in threads."""
    header = lru_cache(_KNOWN_FILES)(_header)

    def headers(some: list[Utterance]) -> list[SpeechFile | EmoflowError | None]:
        return [None if u.speech is None else header(u.speech.path) for u in some]

    for some, files in in_threads(headers, batches(utterances, _CHUNK), ahead=8):
        for utterance, file in zip(some, files, strict=True):
            if reason := _misfit(utterance.speech, file) or _fault(utterance, scale):
                speech = utterance.speech
                findings.skip(utterance.id, "" if speech is None else speech.path, reason)
            else:
                assert not isinstance(file, EmoflowError)
                yield utterance, file


def _header(path: str) -> SpeechFile | EmoflowError:
    try:
        info = inspect_audio(path)
        facts = os.stat(path)
    except CorpusError as error:
        return error
    return SpeechFile(info.seconds, facts.st_size, facts.st_mtime_ns, info.native)


def _misfit(speech: Speech | None, file: SpeechFile | EmoflowError | None) -> EmoflowError | None:
    """Return what is wrong with an utterance's audio as far as its file's header tells."""
    if isinstance(file, EmoflowError):
        return file
    if speech is None or file is None or span_fits(speech, file.seconds):
        return None
    return span_error(speech, file.seconds)


def _fault(u: Utterance, scale: tuple[float, float] | None) -> str:
    """Return what is wrong with an utterance beside its audio, or nothing."""
    if not u.id.strip():
        return "its id is empty"
    if u.speech is None and u.text is None and not u.signals and u.face is None:
        return "it has no modality: no speech, no text, no signals, no face"
    for name, value in (("arousal", u.arousal), ("valence", u.valence)):
        if value is None:
            continue
        if not math.isfinite(value):
            return f"its {name} is {value}, not a number"
        if scale is not None and not scale[0] <= value <= scale[1]:
            return f"its {name} is {value:g}, outside {scale[0]:g} to {scale[1]:g}"
    for label, count in (u.votes or {}).items():
        if not (math.isfinite(count) and count >= 0):
            return f"its votes for {label} are {count}"
    return ""


def _nothing(where: str, findings: Findings) -> CorpusError:
    if findings.skipped:
        first = findings.skipped[0]
        return CorpusError(
            f"{where}: all {len(findings.skipped)} utterances were left out; the first, "
            f"{first.id}, because: {first.reason}",
            "See every reason with data.on_bad_utterance: error, one at a time.",
        )
    return CorpusError(
        f"{where}: no utterances found",
        "Give the corpus's own folder with --data.root PATH, in the layout of its data card.",
    )


def _load(arrow: Path, facts: Path) -> Index | None:
    try:
        record = json.loads(facts.read_text(encoding="utf-8"))
        table = UtteranceTable.load(arrow)
        return Index(table, tuple(Skip(**s) for s in record["skipped"]), record["notes"])
    except (OSError, ValueError, KeyError, TypeError, CorpusError):
        return None  # absent, or written by a version that is gone: read the corpus anew


def _unchanged(table: UtteranceTable, listed: set[str]) -> bool:
    """Return whether speech that lies outside the listed files is what it was."""

    def same(files: list[tuple[str, int, int]]) -> bool:
        return all(_facts_of(path) == (size, mtime_ns) for path, size, mtime_ns in files)

    outside = (file for file in table.files() if file[0] not in listed)
    return all(ok for _, ok in in_threads(same, batches(outside, _CHUNK)))


def _facts_of(path: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns


def _digest(plain: Any) -> str:
    text = json.dumps(plain, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=10).hexdigest()


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)

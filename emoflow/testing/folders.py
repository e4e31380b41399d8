"""Writing a folder whole or not at all, and never over somebody else's files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import wavfile

from emoflow.errors import ConfigError, CorpusError, StorageError
from emoflow.types import SAMPLE_RATE

__all__ = [
    "JUNK",
    "MARKER",
    "NOISE",
    "SILENCE",
    "check_size",
    "is_complete",
    "made_by",
    "write_audio",
    "write_files",
    "written_whole",
]

NOISE, SILENCE = b"noise", b"silence"
"""Contents that stand for 0.3 s of audio."""
JUNK = b"\x00\x05\x16\x07 what a Mac leaves behind"

MARKER = ".emoflow-testing.json"
"""A file in every folder written here: what made it, with which settings, how many files."""


def check_size(name: str, value: int, low: int, high: int | None = None) -> None:
    """Refuse a size that a layout does not have.

    Raises
    ------
    ConfigError
        It says the range.
    """
    if high is None and value < low:
        raise ConfigError(f"{name} is {value}", f"give {low} or more")
    if high is not None and not low <= value <= high:
        raise ConfigError(f"{name} is {value}", f"give {low} to {high}")


def made_by(function: str, seed: int, *, version: int = 1, **options: Any) -> dict[str, Any]:
    """Return what the marker of a folder says: by which function it was made, and with what."""
    check_size("seed", seed, 0)
    return {"by": f"emoflow.testing.{function}", "version": version, "seed": seed, **options}


def is_complete(folder: Path, made: Mapping[str, Any]) -> bool:
    """Say whether ``folder`` already holds, in full, what ``made`` describes."""
    marker = _marker(folder)
    return (
        marker is not None
        and marker.get("made") == dict(made)
        and marker.get("files") == _count(folder)
    )


@contextmanager
def written_whole(folder: Path, made: Mapping[str, Any]) -> Iterator[Path]:
    """Give an empty folder beside ``folder``, and put it in its place when the block ends.

    Raises
    ------
    CorpusError
        If ``folder`` holds anything that was not written here; nothing is touched then.
    StorageError
        If the disk is full or the place cannot be written to.
    """
    _refuse_foreign(folder)
    partial: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-partial-", dir=folder.parent))
        yield partial
        names = sorted([*os.listdir(partial), MARKER])
        facts = {"made": dict(made), "files": _count(partial), "names": names}
        (partial / MARKER).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        partial.chmod(0o755)
        _refuse_foreign(folder)
        if not is_complete(folder, made):  # another process may have been faster
            _swap(partial, folder)
    except OSError as error:
        if is_complete(folder, made):  # another process put its own there at that moment
            return
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror or error})",
            "free some space, or name a folder that you may write to",
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def write_files(root: Path, made: Mapping[str, Any], files: Mapping[str, bytes], seed: int) -> None:
    """Write files by name and content, unless they are there; NOISE and SILENCE are audio."""
    if is_complete(root, made):
        return
    with written_whole(root, made) as partial:
        for number, (name, content) in enumerate(sorted(files.items())):
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content in (NOISE, SILENCE):
                rng = np.random.default_rng([seed, number])
                wave = rng.normal(0, 0.1, int(rng.uniform(0.25, 0.35) * SAMPLE_RATE))
                wave *= content == NOISE
                write_audio(path, wave.astype(np.float32), SAMPLE_RATE)
            else:
                path.write_bytes(content)


def write_audio(path: Path, wave: npt.NDArray[np.float32], rate: int) -> None:
    """Write ``(sample,)`` in [-1, 1] as 16-bit audio; the ending of ``path`` names the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.rint(np.clip(wave, -1, 1) * 32767).astype(np.int16)
    if path.suffix == ".wav":  # libsndfile would wait for the disk after every file
        wavfile.write(path, rate, whole)
        return
    import soundfile

    try:
        soundfile.write(path, whole, rate, subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path.name}: {error}") from error


def _swap(partial: Path, folder: Path) -> None:
    if not folder.exists():
        partial.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent)) / "old"
    folder.rename(old)
    try:
        partial.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CorpusError(f"{folder}: is a file, not a folder", "name a folder that does not exist")
    if not folder.is_dir():
        return
    marker = _marker(folder)
    own = set(marker.get("names", ())) if marker else set()
    foreign = sorted(set(os.listdir(folder)) - own)
    if foreign:
        raise CorpusError(
            f"{folder}: holds files that emoflow did not write ({', '.join(foreign[:3])}"
            + (", …)" if len(foreign) > 3 else ")"),
            "name an empty or a new folder; nothing was changed in this one",
        )


def _marker(folder: Path) -> dict[str, Any] | None:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return marker if isinstance(marker, dict) else None


def _count(folder: Path) -> int:
    """Return the number of files below ``folder``, the marker left out."""
    total = sum(len(files) for _, _, files in os.walk(folder))
    return total - (folder / MARKER).exists()

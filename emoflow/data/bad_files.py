"""Errors of files with speech that cannot be used, the same for sound and for video."""

from __future__ import annotations

from pathlib import Path

from emoflow.errors import AudioError

__all__ = ["empty_file", "unreadable_file"]

_LFS = b"version https://git-lfs"


def empty_file(path: str | Path) -> AudioError:
    """Return the error of a file without a single sample."""
    return AudioError(
        f"{path}: holds no samples",
        "Copy the file again, or skip it with data.on_bad_utterance: skip.",
    )


def unreadable_file(path: str | Path, otherwise: str, fix: str) -> AudioError:
    """Return the error that says why a file could not be opened.

    Parameters
    ----------
    path
        The file; it may be missing.
    otherwise
        What is wrong with it if it is there, holds something, and may be read.
    fix
        What to do then.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        return AudioError(
            f"{path}: no such file",
            "Complete the corpus, or skip the utterance with data.on_bad_utterance: skip.",
        )
    except OSError as reason:
        return AudioError(
            f"{path}: cannot be opened ({reason.strerror})",
            "Make it a file that you may read, or skip it with data.on_bad_utterance: skip.",
        )
    if not head:
        return empty_file(path)
    if head.startswith(_LFS):
        return AudioError(
            f"{path}: is a git-lfs pointer, not audio",
            "Fetch the audio with `git lfs pull` in the corpus's repository.",
        )
    return AudioError(f"{path}: {otherwise}", fix)

"""Errors that say what is wrong, where, and what to do next.

Everything emoflow raises on purpose is an :class:`EmoflowError`, so that a caller can
catch one class and the command line can print one clear message instead of a traceback.
"""

from __future__ import annotations

__all__ = [
    "AudioError",
    "CheckpointError",
    "ConfigError",
    "CorpusError",
    "EmoflowError",
    "LabelError",
    "ProtocolError",
    "StorageError",
    "WeightsError",
]


class EmoflowError(Exception):
    """What went wrong, and the way out.

    Parameters
    ----------
    what
        One sentence that names the file, row or option.
    fix
        One sentence that tells the reader what to do about it.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what, fix)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n  → {self.fix}" if self.fix else self.what


class ConfigError(EmoflowError):
    """A configuration that cannot be run: unknown name, impossible combination."""


class CorpusError(EmoflowError):
    """A corpus folder or table that is not what its loader reads."""


class LabelError(CorpusError):
    """A label that no map covers."""


class AudioError(CorpusError):
    """Speech that cannot be used: unreadable, empty, non-finite, sampled too slowly."""


class ProtocolError(EmoflowError):
    """A split that leaks, is empty, or cannot be made from this corpus."""


class CheckpointError(EmoflowError):
    """A checkpoint that does not fit: another task, a newer version, seen test utterances."""


class WeightsError(EmoflowError):
    """Pretrained weights or a vocabulary that are not on this machine."""


class StorageError(EmoflowError):
    """A file that could not be written: full disk, no permission."""

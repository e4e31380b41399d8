"""One writer at a time, across processes."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO

from emoflow.errors import StorageError

__all__ = ["FileLock"]


class FileLock:
    """A lock on a file, which the system releases when its process ends, however it ends.

    The file stays; it names the process that holds the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None
        self._owner = os.getpid()

    @property
    def held(self) -> bool:
        """Whether this process holds the lock through this object."""
        return self._file is not None and self._owner == os.getpid()

    def acquire(self, wait_seconds: float, what: str) -> None:
        """Take the lock, waiting for its holder.

        Parameters
        ----------
        wait_seconds
            How long to wait at most.
        what
            What the holder does, for the error: ``writes to FOLDER``.

        Raises
        ------
        StorageError
            If it is still held after ``wait_seconds``.
        """
        file = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115 (kept open: it is the lock)
        end = time.monotonic() + wait_seconds
        pause = 0.01
        while not _try_lock(file):
            if time.monotonic() >= end:
                file.seek(0)
                holder = file.read().strip() or "another process"
                file.close()
                raise StorageError(
                    f"{holder} {what}, and {wait_seconds:g} seconds were not enough",
                    "Wait until it has finished, or end it, and run again.",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}")
        file.flush()
        self._file, self._owner = file, os.getpid()

    def release(self) -> None:
        """Let others have it; nothing happens where it is not held, or in a forked process."""
        if self._file is None or self._owner != os.getpid():
            return
        file, self._file = self._file, None
        _unlock(file)
        file.close()


if sys.platform == "win32":
    import msvcrt

    # A byte far behind the text, so that others can still read who holds the lock.
    def _try_lock(file: IO[str]) -> bool:
        file.seek(1 << 20)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[str]) -> None:
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)

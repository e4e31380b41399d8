"""Arrays of one width and many lengths, kept on disk and read through a memory map.

A store is a folder: ``values.bin`` holds the steps of all arrays one after another,
``index.jsonl`` one line ``["key", first step, steps]`` per array, ``store.json`` what it is a
store of. An array counts once its line is complete, and its line is written after its values
have reached the disk: killed at any moment, a store holds whole arrays only.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emoflow.data.locks import FileLock
from emoflow.data.paths import atomic_write, cache_folder, storage_error
from emoflow.errors import StorageError

__all__ = ["FeatureStore"]

_FORMAT = 1
_FLUSH_BYTES = 32 << 20
_FLUSH_ARRAYS = 1024
_FLUSH_SECONDS = 10.0


class FeatureStore:
    """What was computed once per utterance: key to (step, width) array.

    Any number of processes and threads may read while one writes. Reading copies nothing:
    arrays are read-only views into a memory map, and the system drops their pages when it
    needs the memory. A store pickles as its place, so workers open it themselves.

    Example::

        with FeatureStore.open({"encoder": name, "weights": sha256}, width=768) as store:
            for key in store.missing(keys):
                store.append(key, compute(key))
        states = store[key]
    """

    def __init__(
        self, folder: Path, width: int, dtype: str, about: str, wait_seconds: float
    ) -> None:
        self.folder, self.width, self.dtype = folder, width, np.dtype(dtype)
        self.wait_seconds = wait_seconds
        self._about = about
        self._places: dict[str, tuple[int, int]] = {}
        self._pending: dict[str, NDArray[Any]] = {}
        self._pending_bytes = 0
        self._flushed = time.monotonic()
        self._read_to = 0  # bytes of the index that are known
        self._steps = 0  # steps of the values that are known
        self._map: mmap.mmap | None = None
        self._guard = threading.RLock()
        self._lock = FileLock(folder / "lock")
        self._owner = os.getpid()
        # At the end of the program, too, but only where it was opened: not in a fork.
        self._closing = weakref.finalize(self, FileLock.release, self._lock)

    @classmethod
    def open(
        cls,
        about: Mapping[str, Any],
        width: int,
        dtype: Literal["float16", "float32"] = "float16",
        *,
        root: str | Path | None = None,
        wait_seconds: float = 3600.0,
    ) -> FeatureStore:
        """Open the store of what ``about`` describes; it is empty if there is none yet.

        Parameters
        ----------
        about
            Plain data that says all that the values depend on: front end, weights, version.
            Anything else in it makes another store.
        width
            Values per step.
        dtype
            How values are kept; float16 has a relative error of 0.05 % and ends at 65,504.
        root
            Folder of the stores; default: ``features`` in the cache folder.
        wait_seconds
            How long to wait for another process that writes to the same store.

        Raises
        ------
        StorageError
            If its index cannot be read.
        """
        record = {"format": _FORMAT, "width": width, "dtype": str(dtype), "about": dict(about)}
        text = json.dumps(record, ensure_ascii=False, sort_keys=True, indent=1)
        name = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        folder = (cache_folder() / "features" if root is None else Path(root)) / name
        store = cls(folder, width, dtype, text, wait_seconds)
        store.refresh()
        return store

    def __len__(self) -> int:
        return len(self._places) + len(self._pending)

    def __contains__(self, key: object) -> bool:
        return key in self._places or key in self._pending

    def __getitem__(self, key: str) -> NDArray[Any]:
        """Return a read-only (step, width) view; KeyError if there is none."""
        if (waiting := self._pending.get(key)) is not None:
            return waiting
        place = self._places.get(key)
        if place is None:
            self.refresh()  # another process may have written it
            place = self._places[key]
        first, steps = place
        if not steps:
            return np.empty((0, self.width), self.dtype)
        step_bytes = self.width * self.dtype.itemsize
        values = self._mapped((first + steps) * step_bytes)
        flat = np.frombuffer(values, self.dtype, steps * self.width, first * step_bytes)
        return flat.reshape(steps, self.width)

    def lengths(self, keys: Iterable[str]) -> NDArray[np.int64]:
        """Return the number of steps of each of ``keys``, without touching values."""
        waiting, places = self._pending, self._places
        found = [len(waiting[k]) if k in waiting else places[k][1] for k in keys]
        return np.asarray(found, np.int64)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Return those of ``keys`` that have no array yet, once each, in their order."""
        self.refresh()
        return [key for key in dict.fromkeys(keys) if key not in self]

    def append(self, key: str, values: ArrayLike) -> bool:
        """Add an array; return False if there was one already, which then stays.

        Arrays reach the disk together, now and then and with :meth:`flush` or :meth:`close`.
        The first call makes this process the store's writer until it is closed.

        Parameters
        ----------
        key
            Any text.
        values
            (step, width) or, with width 1, (step,).

        Raises
        ------
        StorageError
            If a value is not finite as kept, the disk is full, or another process keeps
            writing for longer than ``wait_seconds``.
        """
        array = np.asarray(values)
        array = array[:, None] if array.ndim == 1 and self.width == 1 else array
        if array.ndim != 2 or array.shape[1] != self.width:
            raise ValueError(f"{key}: shape {array.shape}, but the store has width {self.width}")
        with np.errstate(over="ignore"):
            kept = array.astype(self.dtype)  # a copy: the caller may go on writing to its own
        if not np.isfinite(kept).all():
            reason = "NaN or infinite" if not np.isfinite(array).all() else f"beyond {self.dtype}"
            raise StorageError(
                f"{key}: values that are {reason} cannot be kept in {self.folder}",
                "Look at that utterance's input and at the weights"
                + ("; or keep float32." if reason.startswith("beyond") else "."),
            )
        kept.flags.writeable = False
        with self._guard:
            self._become_writer()
            if key in self:
                return False
            self._pending[key] = kept
            self._pending_bytes += kept.nbytes
            if (
                self._pending_bytes >= _FLUSH_BYTES
                or len(self._pending) >= _FLUSH_ARRAYS
                or time.monotonic() - self._flushed >= _FLUSH_SECONDS
            ):
                self.flush()
        return True

    def flush(self) -> None:
        """Write what was appended: afterwards it survives a kill, and others can read it.

        Raises
        ------
        StorageError
            If the disk is full; the store then holds what it held before.
        """
        with self._guard:
            if not self._pending or os.getpid() != self._owner:
                return
            lines, step = [], self._steps
            for key, array in self._pending.items():
                lines.append(json.dumps([key, step, len(array)], ensure_ascii=False))
                step += len(array)
            _extend(self._values_path, self._step_bytes(self._steps), self._pending.values())
            index = ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")
            _extend(self._index_path, self._read_to, [np.frombuffer(index, np.uint8)])
            self.refresh()
            self._pending, self._pending_bytes = {}, 0
            self._flushed = time.monotonic()

    def refresh(self) -> None:
        """Notice what other processes have written since."""
        with self._guard:
            try:
                with open(self._index_path, "rb") as file:
                    file.seek(self._read_to)
                    new = file.read()
            except (FileNotFoundError, NotADirectoryError):
                return
            except OSError as error:
                raise _unreadable(self.folder, error) from error
            for line in new.splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break  # being written, or torn by a kill
                try:
                    key, first, steps = json.loads(line.decode("utf-8", "surrogatepass"))
                except ValueError:
                    break
                if first != self._steps:
                    break
                self._places[key] = first, steps
                self._steps = first + steps
                self._read_to += len(line)

    def close(self) -> None:
        """Write what was appended and let other processes write."""
        with self._guard:
            try:
                self.flush()
            finally:
                if os.getpid() == self._owner:
                    self._pending, self._pending_bytes = {}, 0
                    self._lock.release()

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"FeatureStore({self.folder}, {len(self)} arrays, {self.width} × {self.dtype})"

    def __reduce__(self) -> tuple[Any, ...]:
        self.flush()
        place = (self.folder, self.width, str(self.dtype), self._about, self.wait_seconds)
        return _reopen, place

    @property
    def _values_path(self) -> Path:
        return self.folder / "values.bin"

    @property
    def _index_path(self) -> Path:
        return self.folder / "index.jsonl"

    def _step_bytes(self, steps: int) -> int:
        return steps * self.width * self.dtype.itemsize

    def _mapped(self, size: int) -> mmap.mmap:
        """Return a map of at least ``size`` bytes; older views keep the map they came from."""
        mapped = self._map
        if mapped is None or len(mapped) < size:
            with self._guard:
                try:
                    with open(self._values_path, "rb") as file:
                        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                except (OSError, ValueError) as error:
                    raise _unreadable(self.folder, error) from error
                if len(mapped) < size:
                    raise _unreadable(self.folder, "values.bin is shorter than its index says")
                self._map = mapped
        return mapped

    def _become_writer(self) -> None:
        if self._lock.held:
            return
        if os.getpid() != self._owner:
            raise StorageError(
                f"{self.folder}: opened in another process",
                "Open the store again in the process that writes.",
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(self.wait_seconds, f"writes to {self.folder}")
            if not (self.folder / "store.json").exists():
                atomic_write(self.folder / "store.json", self._about)
        except OSError as error:
            raise storage_error(self.folder / "store.json", error) from error
        self.refresh()
        if self._places and self._values_path.stat().st_size < self._step_bytes(self._steps):
            raise _unreadable(self.folder, "values.bin is shorter than its index says")


def _reopen(folder: Path, width: int, dtype: str, about: str, wait: float) -> FeatureStore:
    store = FeatureStore(folder, width, dtype, about, wait)
    store.refresh()
    return store


def _extend(path: Path, size: int, arrays: Iterable[NDArray[Any]]) -> None:
    """Cut ``path`` to ``size`` bytes (a torn end goes), add ``arrays``, and wait for the disk."""
    try:
        with open(path, "r+b" if path.exists() else "w+b") as file:
            file.truncate(size)
            file.seek(size)
            try:
                for array in arrays:
                    file.write(np.ascontiguousarray(array).data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)  # give the space back
                raise
    except OSError as error:
        raise storage_error(path, error) from error


def _unreadable(folder: Path, error: object) -> StorageError:
    return StorageError(
        f"{folder}: this store of features cannot be read ({error})",
        f"Delete {folder}; it is made again when it is needed.",
    )

"""Reading checkpoints safely, and checking that they fit."""

from __future__ import annotations

import errno
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from emoflow import __version__
from emoflow.data.paths import atomic_path
from emoflow.errors import CheckpointError

if TYPE_CHECKING:
    from emoflow.tasks.base import Task

__all__ = ["NOTE", "AtomicCheckpointIO", "check_note", "load_task", "read_checkpoint"]

NOTE = "emoflow"
"""Checkpoint entry that says which task, version, labels and protocol made it."""


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a checkpoint's plain content, on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, broken, or holds more than plain data.
    """
    if not Path(path).is_file():
        raise CheckpointError(
            f"{path}: no such checkpoint", "give a run folder or the path of a .ckpt file"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path}: not a readable checkpoint ({type(error).__name__})",
            "it may have been cut off or made by other software; fit again, or use another file",
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a checkpoint of a task", "give a .ckpt file of a run")
    return content


def check_note(
    checkpoint: dict[str, Any], task: str | None = None, *, path: Any = "checkpoint"
) -> dict[str, Any]:
    """Return the checkpoint's note after checking its version and task."""
    note = checkpoint.get(NOTE)
    if not isinstance(note, dict):
        raise CheckpointError(
            f"{path}: not made by an emoflow task", "give the .ckpt file of an emoflow run"
        )
    if _numbers(note["version"]) > _numbers(__version__):
        raise CheckpointError(
            f"{path}: made by emoflow {note['version']}, this is {__version__}",
            f"upgrade with: pip install 'emoflow>={note['version']}'",
        )
    if task is not None and note["task"] != task:
        raise CheckpointError(
            f"{path}: holds {note['task']}, not {task}",
            f"load it with emoflow.tasks.{note['task']}, or give a checkpoint of {task}",
        )
    return note


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release numbers, two of them: a patch never changes a checkpoint."""
    parts = version.split(".")[:2]
    return tuple(int(p) if p.isdigit() else 0 for p in parts)


def load_task(path: str | os.PathLike[str]) -> Task:
    """Return the fitted task that a checkpoint holds, whatever its class."""
    note = check_note(read_checkpoint(path), path=path)
    module, _, name = note["class_path"].rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: its task {note['class_path']} cannot be imported",
            "install or put on the Python path the package that defines it",
        ) from error
    task: Task = cls.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    return task


_DISK = ("iostream error", "unexpected pos", "write", "disk")
"""What torch.save says when the file system takes no more."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it: a kill leaves the old one whole."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Save ``checkpoint`` to ``path``."""
        with atomic_path(Path(path)) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:  # torch hides the disk's own error
                if any(sign in str(error) for sign in _DISK):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
                raise

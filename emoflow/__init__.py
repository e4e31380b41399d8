"""emoflow: multimodal emotion recognition on PyTorch Lightning, measured honestly.

Importing it loads no torch; public names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("emoflow")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

_ROOMS = ("corpora", "data", "evaluation", "frontends", "nets", "tasks", "testing")

__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"emoflow.{name}")
    raise AttributeError(f"module 'emoflow' has no attribute {name!r}")

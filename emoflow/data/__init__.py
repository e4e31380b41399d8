"""Corpora as tables, honest splits, batches by length, and what is kept on disk.

Names are imported when they are first used, so that importing this package loads no torch.
The function ``audit`` is in :mod:`emoflow.data.audit`, whose name it has.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoflow.data.audit import Audit, Finding, refuse_overlap
    from emoflow.data.batching import LengthBatchSampler
    from emoflow.data.collate import Collator, Loaded, pad
    from emoflow.data.e4 import read_e4_session
    from emoflow.data.paths import atomic_path, atomic_write, cache_folder
    from emoflow.data.protocol import Protocol, Splits, fingerprint, make_splits
    from emoflow.data.speech import SpeechReader
    from emoflow.data.store import FeatureStore
    from emoflow.data.table import UtteranceTable
    from emoflow.data.video import inspect_video, read_frames

__all__ = [
    "Audit",
    "Collator",
    "FeatureStore",
    "Finding",
    "LengthBatchSampler",
    "Loaded",
    "Protocol",
    "SpeechReader",
    "Splits",
    "UtteranceTable",
    "atomic_path",
    "atomic_write",
    "cache_folder",
    "fingerprint",
    "inspect_video",
    "make_splits",
    "pad",
    "read_e4_session",
    "read_frames",
    "refuse_overlap",
]

_HOMES = {
    "audit": ("Audit", "Finding", "refuse_overlap"),
    "batching": ("LengthBatchSampler",),
    "collate": ("Collator", "Loaded", "pad"),
    "e4": ("read_e4_session",),
    "paths": ("atomic_path", "atomic_write", "cache_folder"),
    "protocol": ("Protocol", "Splits", "fingerprint", "make_splits"),
    "speech": ("SpeechReader",),
    "store": ("FeatureStore",),
    "table": ("UtteranceTable",),
    "video": ("inspect_video", "read_frames"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"emoflow.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'emoflow.data' has no attribute {name!r}")

"""One class per corpus; its docstring is the corpus's data card.

A corpus's module is imported when its class is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoflow.corpora.base import Corpus
    from emoflow.corpora.demo import Demo
    from emoflow.corpora.emotiontts import EmotionTTS
    from emoflow.corpora.kemdy20 import KEMDy20
    from emoflow.corpora.loading import BatchOptions
    from emoflow.corpora.manifest import Manifest
    from emoflow.corpora.ravdess import RAVDESS

__all__ = ["RAVDESS", "BatchOptions", "Corpus", "Demo", "EmotionTTS", "KEMDy20", "Manifest"]

_MODULES = {
    "BatchOptions": "loading",
    "Corpus": "base",
    "Demo": "demo",
    "EmotionTTS": "emotiontts",
    "KEMDy20": "kemdy20",
    "Manifest": "manifest",
    "RAVDESS": "ravdess",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"emoflow.corpora.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'emoflow.corpora' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})

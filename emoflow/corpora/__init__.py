"""One class per corpus; its docstring is the corpus's data card.

A corpus's module is imported when its class is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoflow.corpora.base import Corpus
    from emoflow.corpora.conversation_voice import ConversationVoice
    from emoflow.corpora.cremad import CREMAD
    from emoflow.corpora.demo import Demo
    from emoflow.corpora.emergency_sound import EmergencySound
    from emoflow.corpora.emodb import EmoDB
    from emoflow.corpora.emotional_dialogue import EmotionalDialogue
    from emoflow.corpora.emotional_dialogue_voice import EmotionalDialogueVoice
    from emoflow.corpora.emotiontts import EmotionTTS
    from emoflow.corpora.esd import ESD
    from emoflow.corpora.iemocap import IEMOCAP
    from emoflow.corpora.kemdy19 import KEMDy19
    from emoflow.corpora.kemdy20 import KEMDy20
    from emoflow.corpora.kote import KOTE
    from emoflow.corpora.loading import BatchOptions
    from emoflow.corpora.manifest import Manifest
    from emoflow.corpora.meld import MELD
    from emoflow.corpora.mixed import Corpora
    from emoflow.corpora.multimodal_video import MultimodalVideo
    from emoflow.corpora.ravdess import RAVDESS

__all__ = [
    "CREMAD",
    "ESD",
    "IEMOCAP",
    "KOTE",
    "MELD",
    "RAVDESS",
    "BatchOptions",
    "ConversationVoice",
    "Corpora",
    "Corpus",
    "Demo",
    "EmergencySound",
    "EmoDB",
    "EmotionTTS",
    "EmotionalDialogue",
    "EmotionalDialogueVoice",
    "KEMDy19",
    "KEMDy20",
    "Manifest",
    "MultimodalVideo",
]

_MODULES = {
    "BatchOptions": "loading",
    "CREMAD": "cremad",
    "ConversationVoice": "conversation_voice",
    "Corpora": "mixed",
    "Corpus": "base",
    "Demo": "demo",
    "ESD": "esd",
    "EmergencySound": "emergency_sound",
    "EmoDB": "emodb",
    "EmotionTTS": "emotiontts",
    "EmotionalDialogue": "emotional_dialogue",
    "EmotionalDialogueVoice": "emotional_dialogue_voice",
    "IEMOCAP": "iemocap",
    "KEMDy19": "kemdy19",
    "KEMDy20": "kemdy20",
    "KOTE": "kote",
    "MELD": "meld",
    "Manifest": "manifest",
    "MultimodalVideo": "multimodal_video",
    "RAVDESS": "ravdess",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"emoflow.corpora.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'emoflow.corpora' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})

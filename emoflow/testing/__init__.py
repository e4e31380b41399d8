"""Small corpora in the real layouts, with synthetic content, for tests and for trying things out.

Nothing needs a licence or a download; numpy, scipy and soundfile are enough, but videos
need PyAV.
"""

from __future__ import annotations

from emoflow.testing.acted import write_cremad, write_emodb
from emoflow.testing.conversation_voice import write_conversation_voice
from emoflow.testing.emergency_sound import write_emergency_sound
from emoflow.testing.emotional_dialogue import (
    write_emotional_dialogue,
    write_emotional_dialogue_voice,
)
from emoflow.testing.esd import write_esd
from emoflow.testing.iemocap import write_iemocap
from emoflow.testing.kemdy19 import write_kemdy19
from emoflow.testing.kemdy20 import session_numbers, write_demo_corpus
from emoflow.testing.mixed import write_mixed
from emoflow.testing.multimodal_video import write_multimodal_video
from emoflow.testing.small import write_emotiontts, write_manifest, write_ravdess
from emoflow.testing.speech import Manner, Voice, draw_voice, synthesise
from emoflow.testing.text_corpora import write_kote, write_meld
from emoflow.testing.words import draw_sentence

__all__ = [
    "Manner",
    "Voice",
    "draw_sentence",
    "draw_voice",
    "session_numbers",
    "synthesise",
    "write_conversation_voice",
    "write_cremad",
    "write_demo_corpus",
    "write_emergency_sound",
    "write_emodb",
    "write_emotional_dialogue",
    "write_emotional_dialogue_voice",
    "write_emotiontts",
    "write_esd",
    "write_iemocap",
    "write_kemdy19",
    "write_kote",
    "write_manifest",
    "write_meld",
    "write_mixed",
    "write_multimodal_video",
    "write_ravdess",
]

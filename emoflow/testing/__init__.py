"""Small corpora in the real layouts, with synthetic content, for tests and for trying things out.

Nothing needs a licence or a download; numpy, scipy and soundfile are enough.
"""

from __future__ import annotations

from emoflow.testing.kemdy20 import session_numbers, write_demo_corpus
from emoflow.testing.small import write_emotiontts, write_manifest, write_ravdess
from emoflow.testing.speech import Manner, Voice, draw_voice, synthesise
from emoflow.testing.words import draw_sentence

__all__ = [
    "Manner",
    "Voice",
    "draw_sentence",
    "draw_voice",
    "session_numbers",
    "synthesise",
    "write_demo_corpus",
    "write_emotiontts",
    "write_manifest",
    "write_ravdess",
]

"""An index becomes usable: broken speech is left out; and an edited loader is noticed."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emoflow.data.checks import SpeechFacts, speech_facts
from emoflow.data.index import Findings, Index
from emoflow.data.shortcuts import Shortcut, shortcut_audit
from emoflow.data.table import UtteranceTable

__all__ = ["listen", "source_digest"]


def listen(
    index: Index, corpus: str, on_bad_utterance: Literal["error", "skip"]
) -> tuple[Index, SpeechFacts]:
    """Decode all speech once: broken speech is left out, silence is counted.

    Returns
    -------
    tuple
        The index of what can be used, and what is heard in each of its utterances.
    """
    facts = speech_facts(index.table, what=f"Checking {corpus}'s speech")
    findings = Findings(on_bad_utterance)
    for row, problem in facts.problems.items():
        utterance = index.table[row]
        file = utterance.speech.path if utterance.speech else ""
        findings.skip(utterance.id, file, problem)
    notes = dict(index.notes)
    if silent := int(facts.silent.sum()):
        notes["utterances whose speech is all zeros"] = silent
    if not facts.problems:
        return Index(index.table, index.skipped, notes), facts
    good = np.setdiff1d(np.arange(len(index.table)), list(facts.problems))
    skipped = (*index.skipped, *findings.skipped)
    usable = Index(index.table.select(good), skipped, notes)
    return usable, facts.of(good)


def find_shortcuts(
    table: UtteranceTable, heard: SpeechFacts, emotions: NDArray[Any]
) -> tuple[Shortcut, ...]:
    """Say how well each property of origin and recording alone predicts ``emotions``."""
    cues = {
        "the corpus": table.column("corpus"),
        "the speaker": table.column("speaker"),
        "duration": table.column("seconds"),
        "loudness": heard.recording["loudness"],
        "the share of silence": heard.recording["silence"],
        "bandwidth": heard.recording["bandwidth"],
        "the sampling rate": heard.recording["rate"],
    }
    return shortcut_audit(emotions, cues, table.column("key"))


def source_digest(cls: type, base: type) -> str:
    """Return a hash of the modules of ``cls`` and its parents below ``base``."""
    digest = hashlib.blake2b(digest_size=8)
    for one in cls.__mro__:
        if one is base or not issubclass(one, base):
            continue
        try:
            source = inspect.getsourcefile(one)
            digest.update(Path(source or "").read_bytes())
        except (OSError, TypeError):  # typed in at a prompt
            digest.update(one.__qualname__.encode())
    return digest.hexdigest()

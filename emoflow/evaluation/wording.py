"""The fixed sentences of a report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emoflow.evaluation.tables import metric_order, metric_title

__all__ = ["PROTOCOLS", "SPEAKER_DEPENDENT", "TARGETS", "counted", "explanations", "listed"]

TARGETS = {
    "emotion": "Emotions",
    "emotions": "Emotions, any number at once,",
    "arousal": "Arousal",
    "valence": "Valence",
}

PROTOCOLS = {
    "speakers": "No speaker of the test split was heard in training.",
    "sessions": "No session of the test split was heard in training.",
    "sentences": "No sentence of the test split was met in training; speakers may have been.",
    "speakers+sentences": "Neither a speaker nor a sentence of the test split was met in training.",
    "official": "The corpus's own split.",
    "file": "A split read from a file.",
    "random": "A random split of utterances.",
}

SPEAKER_DEPENDENT = (
    "The split is random: the same people are heard in training and in testing. These scores "
    "say little about people who were not heard before, and are not to be compared with "
    "speaker-independent ones."
)

_EXPLAINED = {
    "macro_f1": "mean F1 over all emotions, each counting the same; higher is better",
    "uar": "unweighted average recall, the mean share of each emotion that is found; guessing "
    "reaches one over the number of emotions",
    "accuracy": "share of utterances that are right; high on a corpus with one large class, "
    "whatever the net does",
    "weighted_f1": "mean F1, each emotion weighted by how often it occurs",
    "micro_f1": "F1 over all pairs of an utterance and an emotion, so that frequent emotions rule",
    "ece": "expected calibration error, how far stated confidence lies from the share that is "
    "right; lower is better, and a guess that never looks can still be well calibrated",
    "ccc": "concordance correlation, 1 if predictions equal the ratings, 0 if they know nothing",
    "rmse": "root mean squared error on the corpus's own scale; lower is better",
}


def explanations(metrics: Iterable[str]) -> list[str]:
    """Return a line for every metric, and for floor and ceiling."""
    lines = []
    for name in metric_order(list(dict.fromkeys(metrics))):
        words = _EXPLAINED.get(name) or _EXPLAINED.get(name.partition("_")[0])
        if words:
            lines.append(f"{metric_title(name)}: {words}")
    return [
        *lines,
        "floor: what guessing from the training labels alone would score",
        "ceiling: what one human rater scores against the others, or what the maker of an "
        "artificial corpus knows to be possible",
    ]


def counted(count: Any, noun: str) -> str:
    """Return ``1 speaker``, ``12 speakers``; without a number just ``speakers``."""
    if not isinstance(count, int | float):
        return f"{noun}s"
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def of_speakers(count: int | None) -> str:
    """Return `` of 12 speakers``, to go behind utterances; nothing where they are unknown."""
    return f" of {counted(count, 'speaker')}" if count else ""


def listed(subset: str) -> str:
    """Return a subset in words: ``speech, text and signals``."""
    *first, last = subset.split("+")
    return f"{', '.join(first)} and {last}" if first else last

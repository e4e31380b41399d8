"""The words that tell an emotion from the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["TellingWord", "telling_words"]

_WORD = re.compile(r"\w+(?:'\w+)*")
_PRIOR = 0.1  # its weight, in corpora
_CLEAR = 1.96


class TellingWord(NamedTuple):
    """A word that an emotion's texts have more often than the others."""

    label: str
    word: str
    here: int
    """Occurrences in the emotion's texts."""
    elsewhere: int
    """Occurrences in all other texts."""
    z: float
    """Log-odds ratio over its standard error."""


def telling_words(
    texts: Sequence[str],
    members: NDArray[np.bool_],
    labels: Sequence[str],
    most: int = 12,
) -> list[TellingWord]:
    """Return the words with the highest log-odds for each label, against all other texts.

    Log-odds ratio with an informative Dirichlet prior: every word's share in all texts, worth a
    tenth of them, so that rare words have to earn their place (B. L. Monroe, M. P. Colaresi and
    K. M. Quinn, "Fightin' Words", *Political Analysis* 16, 2008, eqs. 16 to 22). A text that
    recurs with the same labels counts once. Words are what stands between spaces and marks,
    case-folded; Korean ones keep their particles.

    Parameters
    ----------
    texts
        One per utterance.
    members
        (utterance, label) whether an utterance has a label.
    labels
        Their names.
    most
        Words per label; fewer where fewer lie 1.96 standard errors above the others.
    """
    once = {
        (text, row.tobytes()): k for k, (text, row) in enumerate(zip(texts, members, strict=True))
    }
    kept = sorted(once.values())
    counts, words = _counts([texts[k] for k in kept])
    everywhere = counts.sum(axis=0)
    total = everywhere.sum()
    prior = _PRIOR * everywhere
    found: list[TellingWord] = []
    of_label = members[kept].astype(np.float64).T @ counts
    for label, here in zip(labels, np.asarray(of_label), strict=True):
        there = everywhere - here
        if not here.any() or not there.any():
            continue
        odds = _log_odds(here, prior, total) - _log_odds(there, prior, total)
        z = odds / np.sqrt(1 / (here + prior) + 1 / (there + prior))
        found += [
            TellingWord(label, str(words[k]), int(here[k]), int(there[k]), float(z[k]))
            for k in np.lexsort((words, -z))[:most]
            if z[k] >= _CLEAR
        ]
    return found


def _log_odds(
    count: NDArray[np.float64], prior: NDArray[np.float64], total: float
) -> NDArray[np.float64]:
    seen = count + prior
    return np.asarray(np.log(seen) - np.log(count.sum() + _PRIOR * total - seen))


def _counts(texts: Sequence[str]) -> tuple[csr_array, NDArray[np.str_]]:
    """Return (text, word) counts and the words."""
    number: dict[str, int] = {}
    owner, column = [], []
    for k, text in enumerate(texts):
        for word in _WORD.findall(text.casefold()):
            owner.append(k)
            column.append(number.setdefault(word, len(number)))
    ones = np.ones(len(owner))
    counts = csr_array((ones, (owner, column)), shape=(len(texts), len(number)))
    return counts, np.array(list(number), dtype=str)

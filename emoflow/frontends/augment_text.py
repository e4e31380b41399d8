"""Text augmentation at the level of words, in the manner of Wei and Zou 2019 ("EDA").

For training text only. Every function takes its randomness from a generator, so that the
same generator state gives the same text; words are what white space separates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from emoflow.errors import ConfigError

__all__ = [
    "TextAugmentation",
    "random_deletion",
    "random_insertion",
    "random_swap",
    "read_synonyms",
    "synonym_replacement",
]

Synonyms = Mapping[str, Sequence[str]]


def random_swap(text: str, share: float, generator: np.random.Generator) -> str:
    """Return ``text`` with ``share`` of its words (at least one pair) changing places."""
    words = text.split()
    if len(words) < 2 or share <= 0:
        return text
    for _ in range(_count(words, share)):
        first, second = generator.choice(len(words), size=2, replace=False)
        words[first], words[second] = words[second], words[first]
    return " ".join(words)


def random_deletion(text: str, share: float, generator: np.random.Generator) -> str:
    """Return ``text`` with each word left out at probability ``share``; one always stays."""
    words = text.split()
    if len(words) < 2 or share <= 0:
        return text
    stays = generator.random(len(words)) >= share
    if not stays.any():
        stays[generator.integers(len(words))] = True
    return " ".join(word for word, kept in zip(words, stays, strict=True) if kept)


def synonym_replacement(
    text: str, share: float, generator: np.random.Generator, synonyms: Synonyms
) -> str:
    """Return ``text`` with ``share`` of its words (at least one) replaced by a synonym."""
    words = text.split()
    known = [place for place, word in enumerate(words) if synonyms.get(word)]
    if not known or share <= 0:
        return text
    count = min(_count(words, share), len(known))
    for place in generator.choice(known, size=count, replace=False):
        words[place] = _one_of(synonyms[words[place]], generator)
    return " ".join(words)


def random_insertion(
    text: str, share: float, generator: np.random.Generator, synonyms: Synonyms
) -> str:
    """Return ``text`` with synonyms of ``share`` of its words (at least one) put anywhere."""
    words = text.split()
    known = [word for word in words if synonyms.get(word)]
    if not known or share <= 0:
        return text
    for _ in range(_count(words, share)):
        word = _one_of(synonyms[_one_of(known, generator)], generator)
        words.insert(int(generator.integers(len(words) + 1)), word)
    return " ".join(words)


def _count(words: Sequence[str], share: float) -> int:
    return max(1, round(share * len(words)))


def _one_of(words: Sequence[str], generator: np.random.Generator) -> str:
    return words[int(generator.integers(len(words)))]


@lru_cache(maxsize=8)
def read_synonyms(path: str) -> dict[str, tuple[str, ...]]:
    """Return the synonyms per word of a table.

    A ``.json`` file maps a word to a list of words. Any other file is text in UTF-8, one line
    per word: the word and its synonyms, separated by tabs.

    Raises
    ------
    ConfigError
        If the file is missing, is not such a table, or names no synonym.
    """
    try:
        content = Path(path).read_text(encoding="utf-8-sig")
        if path.endswith(".json"):
            pairs = [(word, list(others)) for word, others in json.loads(content).items()]
        else:
            lines = (line.split("\t") for line in content.splitlines())
            pairs = [(cells[0], cells[1:]) for cells in lines]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"{path}: cannot be read as a table of synonyms ({error})",
            'give a JSON file {"word": ["synonym", …]} or a UTF-8 text file with one word and '
            "its synonyms per line, separated by tabs",
        ) from error
    table = {
        word.strip(): tuple(other.strip() for other in others if other.strip())
        for word, others in pairs
    }
    if not any(table.values()):
        raise ConfigError(
            f"{path}: names no synonym", "separate a word and its synonyms by tabs, one word a line"
        )
    return table


@dataclass(frozen=True)
class TextAugmentation:
    """Which changes a training text may get; one of those switched on is drawn per text.

    Synonyms and insertion are off by default, because they change what is said.

    Raises
    ------
    ConfigError
        If a share lies outside [0, 1], nothing is switched on, or a table is missing.
    """

    swap: float = 0.1
    """Share of a text's words that change places; 0 is off."""
    deletion: float = 0.1
    """Probability with which each word is left out; 0 is off."""
    synonyms: float = 0.0
    """Share of a text's words replaced by a synonym; needs ``synonym_file``; 0 is off."""
    insertion: float = 0.0
    """Share of a text's words whose synonyms are put in; needs ``synonym_file``; 0 is off."""
    synonym_file: str | None = None
    """Table of synonyms, JSON or tab-separated text."""

    def __post_init__(self) -> None:
        shares = {n: getattr(self, n) for n in ("swap", "deletion", "synonyms", "insertion")}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ConfigError(
                    f"text augmentation: {name} is {share}", "give a share between 0 and 1"
                )
        if not any(shares.values()):
            raise ConfigError(
                "text augmentation: every change is switched off",
                "give swap or deletion a share above 0, or set text_augmentation to null",
            )
        if (self.synonyms or self.insertion) and not self.synonym_file:
            raise ConfigError(
                "text augmentation: synonyms and insertion need a table of synonyms",
                "set synonym_file, or leave both at 0",
            )

    def augment(self, text: str, generator: np.random.Generator) -> str:
        """Return a changed copy of ``text``; a text of one word or none may stay as it is."""
        changes: list[Callable[[], str]] = []
        if self.swap:
            changes.append(lambda: random_swap(text, self.swap, generator))
        if self.deletion:
            changes.append(lambda: random_deletion(text, self.deletion, generator))
        if self.synonyms or self.insertion:
            table = read_synonyms(str(self.synonym_file))
            if self.synonyms:
                changes.append(lambda: synonym_replacement(text, self.synonyms, generator, table))
            if self.insertion:
                changes.append(lambda: random_insertion(text, self.insertion, generator, table))
        return changes[int(generator.integers(len(changes)))]()

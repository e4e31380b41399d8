"""Data cards: what a corpus's class says of it, and what a copy of it on disk really holds."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emoflow import corpora
from emoflow.corpora.base import Corpus
from emoflow.errors import ConfigError

__all__ = ["HEADINGS", "Card", "card", "check_lines", "corpus_classes", "find_class"]

HEADINGS = ("Source", "Licence", "How to get it", "Size", "Speakers", "Citation")
"""What every card has; most have Labels and Text, too."""

_PART = re.compile(r"^\*\*(.+?)\*\*\s*", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?(?:\w+\.)*(\w+)`")
_SHOWN = 5


@dataclass(frozen=True)
class Card:
    """A corpus's data card."""

    name: str
    """What ``data.class_path`` calls the corpus."""
    title: str
    parts: Mapping[str, str]
    """Heading to plain text, paragraphs apart by an empty line."""
    modalities: tuple[str, ...]
    labels: tuple[str, ...]

    def first(self, heading: str) -> str:
        """Return the first sentence of a part, on one line; empty if there is none."""
        text = " ".join(self.parts.get(heading, "").split())
        return re.split(r"(?<=[.:])\s(?=[A-Z])", text, maxsplit=1)[0].rstrip(":")


def card(cls: type[Corpus]) -> Card:
    """Return the data card that the docstring of a corpus's class is."""
    text = inspect.getdoc(cls) or ""
    text = _ROLE.sub(r"\1", text).replace("``", "")
    title, _, rest = text.partition("\n")
    rest = rest.partition("Parameters\n---")[0]
    pieces = _PART.split(rest)
    parts = {n: t.strip() for n, t in zip(pieces[1::2], pieces[2::2], strict=True)}
    return Card(cls.__name__, title.strip(), parts, cls.modalities, cls.labels)


def corpus_classes() -> list[type[Corpus]]:
    """Return every corpus that emoflow ships, by name."""
    found = [getattr(corpora, name) for name in sorted(corpora.__all__, key=str.casefold)]
    return [c for c in found if isinstance(c, type) and issubclass(c, Corpus) and c is not Corpus]


def find_class(name: str) -> type[Corpus]:
    """Return a shipped corpus by the name of its class or by its own, whatever the case.

    Raises
    ------
    ConfigError
        If there is none; the message lists them.
    """
    wanted = name.casefold().replace("-", "_")
    for cls in corpus_classes():
        if wanted in (cls.__name__.casefold(), cls.name):
            return cls
    names = ", ".join(cls.__name__ for cls in corpus_classes())
    raise ConfigError(f"no corpus {name!r}", f"there are {names}; your own is a Manifest")


def check_lines(corpus: Corpus) -> Iterator[str]:
    """Yield what a copy of a corpus holds, what it lacks of the known counts, and what is odd."""
    table = corpus.table
    emotions = Counter(e for e in table.column("emotion") if e is not None)
    found = {
        "utterances": len(table),
        "with an emotion": emotions.total(),
        **{
            f"{unit}s": len({value for value in table.column(unit) if value})
            for unit in ("speaker", "session")
        },
        **dict(emotions.most_common()),
    }
    yield f"{corpus.name} in {corpus.root}"
    for what, count in found.items():
        known = corpus.known.get(what)
        remark = "" if known is None else f", as known: {known}"
        if known is not None and count != known:
            more = "too many" if count > known else "missing"
            remark = f", known are {known}: {abs(known - count)} {more}"
        yield f"found: {count} {what}{remark}"
    for what in corpus.known.keys() - found.keys():
        yield f"missing: all {corpus.known[what]} {what}"
    for modality, column in (("speech", "speech_path"), ("text", "text"), ("signals", "signals")):
        if modality in corpus.modalities:
            lacking = sum(value is None for value in table.column(column))
            if lacking:
                yield f"missing: {modality} of {lacking} utterances"
    for kind, count in sorted(corpus.notes.items()):
        yield f"odd: {count} {kind}"
    for skip in corpus.skipped[:_SHOWN]:
        yield f"left out: {skip.id} ({skip.file}): {skip.reason}"
    if len(corpus.skipped) > _SHOWN:
        yield f"left out: {len(corpus.skipped) - _SHOWN} more"

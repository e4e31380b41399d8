"""``emoflow corpora``: what corpora there are, a corpus's data card, and a check of a copy."""

from __future__ import annotations

import textwrap
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence

from emoflow.corpora.cards import Card, card, check_lines, corpus_classes, find_class

_WIDTH = 96


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = ArgumentParser(
        prog="emoflow corpora",
        description="List the corpora that emoflow reads; print the data card of one; or say "
        "what a copy on disk holds, what it lacks against the known counts, and what is odd.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this corpus's data card")
    parser.add_argument("--check", nargs=2, metavar=("NAME", "PATH"), help="look at a copy")
    try:
        options = parser.parse_args(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    if options.check:
        name, path = options.check
        lines = check_lines(find_class(name)(root=path, on_bad_utterance="skip"))
    elif options.name:
        lines = _whole(card(find_class(options.name)))
    else:
        lines = (line for cls in corpus_classes() for line in _short(card(cls)))
    for line in lines:
        print(line)
    return 0


def _short(one: Card) -> Iterator[str]:
    yield f"{one.name}: {one.title.partition(': ')[2] or one.title}"
    facts = {
        "modalities": ", ".join(one.modalities),
        "labels": ", ".join(one.labels),
        "size": one.first("Size"),
        "speakers": one.first("Speakers"),
        "licence": one.first("Licence"),
        "get it": one.first("How to get it"),
    }
    for name, text in facts.items():
        if text:
            yield from textwrap.wrap(
                text, _WIDTH, initial_indent=f"  {name:<11}", subsequent_indent=" " * 13
            )
    yield ""


def _whole(one: Card) -> Iterator[str]:
    yield one.title
    yield f"\nModalities: {', '.join(one.modalities)}"
    for heading, text in one.parts.items():
        yield f"\n{heading}"
        for paragraph in text.split("\n\n"):
            if paragraph.lstrip().startswith("- "):
                yield textwrap.indent(paragraph, "  ")
            else:
                yield textwrap.fill(
                    " ".join(paragraph.split()), _WIDTH, initial_indent="  ", subsequent_indent="  "
                )

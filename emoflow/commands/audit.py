"""``emoflow audit``: which utterance is in which split, and what the splits share."""

from __future__ import annotations

from collections.abc import Sequence

from emoflow.commands.fit import read_corpus

USAGE = """usage: emoflow audit --config CONFIG [--data.root PATH] [--key value ...]

Makes the splits of a config and looks for what they share: speakers, sessions, sentences,
equal audio (by its samples), equal rows. Then it says how well corpus, speaker, duration,
loudness, silence, bandwidth and sampling rate alone predict the emotion: what does is a shortcut
that a net will take. Trains nothing. Exits with 1 when an overlap is an error under the config's
on_overlap.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    words = list(arguments)
    if not words or "-h" in words or "--help" in words:
        print(USAGE)
        return 0
    corpus = read_corpus(words)
    corpus.prepare_data()
    corpus.make_splits()
    print("\n".join(corpus.describe_lines()))
    corpus.audit.enforce(corpus.protocol)
    return 0

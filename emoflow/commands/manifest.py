"""``emoflow manifest``: any corpus as one table that reads back to the same utterances."""

from __future__ import annotations

from collections.abc import Sequence

from emoflow.commands.fit import read_corpus
from emoflow.errors import ConfigError

USAGE = """usage: emoflow manifest --config CONFIG [--data.root PATH] [--key value ...] OUT.parquet

Reads and checks the corpus of a config and writes its utterances as a manifest: one row each, with
ratings, votes, raters and further columns, and the absolute paths of their audio. Trains nothing,
copies nothing. Use it with: emoflow fit --config manifest.yaml --data.root OUT.parquet
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    words = list(arguments)
    if not words or "-h" in words or "--help" in words:
        print(USAGE)
        return 0
    out = words.pop() if words and words[-1].endswith(".parquet") else None
    if out is None:
        raise ConfigError("write where?", "end the command with the new file, OUT.parquet")

    from emoflow.corpora.manifest_writer import write_manifest_of

    corpus = read_corpus(words)
    count = write_manifest_of(corpus, out)
    print(f"wrote {count} utterances of {corpus.name} to {out}")
    for kind, count in sorted(corpus.notes.items()):
        print(f"note: {count} {kind}")
    for skip in corpus.skipped:
        print(f"left out: {skip.id}: {skip.reason}")
    return 0

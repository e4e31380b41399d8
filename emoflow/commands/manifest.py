"""``emoflow manifest``: any corpus as one table that reads back to the same utterances."""

from __future__ import annotations

from collections.abc import Sequence

from emoflow.commands.experiment import read_stages
from emoflow.commands.fit import take_option
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
    config, words = take_option(words, "config")
    if config is None:
        raise ConfigError("which config?", "give --config CONFIG, a path or a shipped name")
    out = words.pop() if words and words[-1].endswith(".parquet") else None
    if out is None:
        raise ConfigError("write where?", "end the command with the new file, OUT.parquet")

    from emoflow.corpora.manifest_writer import write_manifest_of

    _, stages = read_stages(config, words)
    corpus = stages[-1].parser.instantiate(stages[-1].config).data
    count = write_manifest_of(corpus, out)
    print(f"wrote {count} utterances of {corpus.name} to {out}")
    for line in (*corpus.notes, *(f"left out: {s.id}: {s.reason}" for s in corpus.skipped)):
        print(line)
    return 0

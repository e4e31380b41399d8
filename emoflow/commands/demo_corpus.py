"""``emoflow demo-corpus``: a synthetic corpus in KEMDy20's layout."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from emoflow.testing import write_demo_corpus


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = ArgumentParser(
        prog="emoflow demo-corpus",
        description="Write a synthetic corpus in KEMDy20's exact layout, oddities included, "
        "with the scores that an ideal listener would reach in ceiling.json.",
    )
    parser.add_argument("folder", metavar="DIR", help="a new folder")
    parser.add_argument("--sessions", type=int, default=12, help="two speakers each (default 12)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other speakers")
    try:
        options = parser.parse_args(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    folder = write_demo_corpus(options.folder, sessions=options.sessions, seed=options.seed)
    print(f"wrote {folder}; train on it with: emoflow fit --config demo.yaml --data.root {folder}")
    return 0

"""Peak memory of preparing and reading one epoch, against the size of the corpus.

    python benchmarks/memory.py
    python benchmarks/memory.py --utterances 200

Two corpora, the second four times the first, each in a process of its own: index, checks,
split, and one epoch of training batches. The ratio of the peaks is near 1 where memory is
torch and one batch; near 4 would mean that the corpus is held in memory. The last line says
how much each utterance adds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tree import write_tree


def peak() -> float:
    """Return this process's largest resident size in MiB (Linux counts in KiB)."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (2**20 if sys.platform == "darwin" else 2**10)


def epoch(root: str) -> None:
    """Prepare, read one epoch, print the peaks."""
    import torch

    from emoflow.corpora import KEMDy20
    from emoflow.data import Protocol

    imported = peak()
    # The tree repeats its recordings, which the audit would rightly refuse.
    corpus = KEMDy20(root, protocol=Protocol(name="sessions", on_overlap="allow"))
    corpus.prepare_data()
    corpus.setup("fit")
    total = sum(int(torch.count_nonzero(batch.samples)) for batch in corpus.train_dataloader())
    print(json.dumps({"imported": imported, "peak": peak(), "utterances": total}))


def main() -> None:
    """Measure both sizes, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--utterances", type=int, default=3365)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        epoch(options.child)
        return
    peaks = []
    for size in (options.utterances, 4 * options.utterances):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "KEMDy20"
            write_tree(root, size)
            env = os.environ | {"EMOFLOW_CACHE": str(Path(folder) / "cache")}
            command = [sys.executable, __file__, "--child", str(root)]
            done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
        facts = json.loads(done.stdout.splitlines()[-1])
        peaks.append(facts["peak"])
        print(
            f"{size:6} utterances ({facts['utterances']} in training): peak {facts['peak']:.0f} "
            f"MiB, of which {facts['imported']:.0f} MiB imports"
        )
    print(f"peak at four times the size / peak: {peaks[1] / peaks[0]:.2f}")
    added = (peaks[1] - peaks[0]) / (3 * options.utterances) * 1024
    print(f"each utterance adds {added:.1f} KiB")


if __name__ == "__main__":
    main()

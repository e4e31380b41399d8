"""Time to index a corpus of KEMDy20's size: cold, again, and by a plain loop.

    python benchmarks/indexing.py
    python benchmarks/indexing.py --utterances 1000

Cold: read and check everything, decode all speech once for the audit, write the cache. Warm:
another process, the same cache. The plain loop knows less: it reads the tables, texts and
headers, and in its second row decodes every file too, but checks and keeps nothing. Files were
written just before, so all of it reads from memory, not from a disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tree import UTTERANCES, write_tree


def index(root: str) -> None:
    """Index in this process; print what it took."""
    from emoflow.corpora import KEMDy20

    corpus = KEMDy20(root)
    started = time.perf_counter()
    utterances = len(corpus.table)
    print(json.dumps({"seconds": time.perf_counter() - started, "utterances": utterances}))


def plain(root: str, decode: bool) -> None:
    """Do the same with pandas and soundfile, one file after the other."""
    import pandas as pd
    import soundfile

    started = time.perf_counter()
    found = {path.stem: path for path in Path(root, "wav").rglob("*.wav")}
    rows = []
    for table in sorted(Path(root, "annotation").glob("*.csv")):
        for _, row in pd.read_csv(table, header=None, skiprows=2).iterrows():
            path = found[row[3]]
            text = path.with_suffix(".txt").read_text(encoding="cp949")
            info = soundfile.info(path)
            if decode:
                soundfile.read(path)
            rows.append((row[3], row[4], row[5], row[6], text, info.frames / info.samplerate))
    took = time.perf_counter() - started
    print(json.dumps({"seconds": took, "utterances": len(pd.DataFrame(rows))}))


def run(what: str, root: Path, cache: Path) -> tuple[float, int]:
    """Run one of the above in a process of its own."""
    command = [sys.executable, __file__, "--child", what, "--root", str(root)]
    env = os.environ | {"EMOFLOW_CACHE": str(cache)}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return result["seconds"], result["utterances"]


def main() -> None:
    """Write the tree, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--utterances", type=int, default=UTTERANCES)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--root", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        if options.child.startswith("index"):
            index(options.root)
        else:
            plain(options.root, decode=options.child == "plain, decoding")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "KEMDy20"
        write_tree(root, options.utterances)
        seconds = {}
        for what in ("plain, headers", "index, cold", "index, warm", "plain, decoding"):
            seconds[what], utterances = run(what, root, Path(folder) / "cache")
            print(f"{what:16} {seconds[what]:7.2f} s for {utterances} utterances")
    cold, warm = seconds["index, cold"], seconds["index, warm"]
    headers, decoding = seconds["plain, headers"], seconds["plain, decoding"]
    print(f"plain that decodes too / cold: {decoding / cold:.2f} (above 1: emoflow is faster)")
    print(f"plain headers only / cold:     {headers / cold:.2f}")
    print(f"plain headers only / warm:     {headers / warm:.2f}")


if __name__ == "__main__":
    main()

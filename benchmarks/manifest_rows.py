"""Time and memory of a manifest of a million rows: to build its index, and to start on it.

    python benchmarks/manifest_rows.py
    python benchmarks/manifest_rows.py --rows 200000 --speech
    python benchmarks/manifest_rows.py --ending parquet

Two manifests, of a quarter of the rows and of all of them. Build: a first process reads the table
and checks every row (with --speech, it also listens to every utterance). Start: a second one
finds the index in the cache and does what a run does before it trains: splits, audit,
shortcuts, selection, the first batch; and what its report says of the test split. The first
start, which tokenizes every text, is not shown; the second one is.

With --speech, the utterances are spans of 20 ms in a thousand long files.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from memory import peak

ROWS, QUICK = 1_000_000, 8_000
_LABELS = ("neutral", "happy", "sad", "angry", "fear", "surprise")
_WORDS = (
    "오늘",
    "내일",
    "그래서",
    "정말",
    "너무",
    "좋아",
    "싫어",
    "학교",
    "친구",
    "갔는데",
    "비가",
)
_FILES, _SPAN = 1000, 0.02


def rows(count: int, speech: bool) -> Iterator[dict[str, Any]]:
    """Yield ``count`` rows in an order that is not that of their ids."""
    random = np.random.default_rng(0)
    for place in range(count):
        number = place * 7919 % count
        words = " ".join(_WORDS[i] for i in random.integers(0, len(_WORDS), 7))
        row = {
            "id": f"u{number:08d}",
            "speaker": f"speaker {number % 500}",
            "session": f"session {number % 250}",
            "text": f"{words} {number if number % 3 else ''}",
            "emotion": _LABELS[number * 31 % 101 % 6],
            "arousal": 1 + number % 5,
            "valence": 1 + number % 4,
            "sex": "female" if number % 2 else "male",
            "place": "at home",
        }
        if speech:
            file, span = number % _FILES, number // _FILES
            row |= {"speech": f"{file}.wav", "start": span * _SPAN, "end": (span + 1) * _SPAN}
        yield row


def write(path: Path, count: int, speech: bool) -> None:
    """Write a manifest by its ending, and its audio."""
    if path.suffix == ".parquet":
        import pandas as pd

        pd.DataFrame(rows(count, speech)).to_parquet(path)
    else:
        with open(path, "w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, next(rows(1, speech)))
            if path.suffix == ".csv":
                table.writeheader()
            for row in rows(count, speech):
                if path.suffix == ".csv":
                    table.writerow(row)
                else:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    if speech:
        from scipy.io import wavfile

        random = np.random.default_rng(1)
        samples = round(16_000 * _SPAN) * -(-count // _FILES)
        for file in range(_FILES):
            noise = random.integers(-3000, 3000, samples, dtype=np.int16)
            wavfile.write(path.parent / f"{file}.wav", 16_000, noise)


def work(what: str, root: str) -> None:
    """Build or start in this process; print what it took."""
    from emoflow.corpora import Manifest
    from emoflow.data import Protocol
    from emoflow.frontends import JamoTokenizer
    from emoflow.types import Needs

    imported, seconds = peak(), {}
    started = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        now = time.perf_counter()
        seconds[name], started = now - started, now

    corpus = Manifest(root, protocol=Protocol(on_overlap="warn"))
    spoken = bool(corpus.table.column("speech_path", [0])[0])
    lap("index")
    if what == "start":
        modalities = ("speech", "text") if spoken else ("text",)
        corpus.needs = Needs(modalities, "emotion", _LABELS, JamoTokenizer())
        corpus.prepare_data()
        lap("prepare")
        corpus.make_splits()
        lap("splits, audit")
        assert corpus.shortcuts
        lap("shortcuts")
        corpus.setup("fit")
        lap("selection")
        next(iter(corpus.train_dataloader()))
        lap("first batch")
        test = corpus.splits.test
        corpus.rows_frame(test)
        corpus.truth(test, "emotion", _LABELS)
        json.dumps([corpus.protocol_summary(), corpus.splits.to_json()], ensure_ascii=False)
        lap("report's data")
    seconds["all"] = sum(seconds.values())
    print(json.dumps({"seconds": seconds, "imported": imported, "peak": peak()}))


def run(what: str, root: Path, cache: Path) -> dict[str, Any]:
    """Run one of the two in a process of its own."""
    command = [sys.executable, __file__, "--child", what, "--root", str(root)]
    env = os.environ | {"EMOFLOW_CACHE": str(cache)}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure both sizes, print figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--quick", action="store_true", help="only show that it works")
    parser.add_argument("--ending", choices=("csv", "jsonl", "parquet"), default="csv")
    parser.add_argument("--speech", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--root", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        work(options.child, options.root)
        return
    count = QUICK if options.quick else options.rows
    found: dict[str, list[dict[str, Any]]] = {"build": [], "start": []}
    for size in (count // 4, count):
        with tempfile.TemporaryDirectory() as folder:
            root, cache = Path(folder) / f"manifest.{options.ending}", Path(folder) / "cache"
            write(root, size, options.speech)
            found["build"].append(run("build", root, cache))
            run("start", root, cache)
            found["start"].append(run("start", root, cache))
    for what, (small, large) in found.items():
        print(f"{what}: {count // 4} rows, {count} rows, ratio")
        for name, seconds in large["seconds"].items():
            before = small["seconds"][name]
            print(f"  {name:14} {before:8.2f} s {seconds:8.2f} s {seconds / before:6.1f}")
        sizes = [one["peak"] for one in (small, large)]
        print(f"  {'peak memory':14} {sizes[0]:6.0f} MiB {sizes[1]:6.0f} MiB", end="")
        print(f" {sizes[1] / sizes[0]:5.1f}, of which imports {large['imported']:.0f} MiB")
        each = (sizes[1] - sizes[0]) * 2**20 / (count - count // 4)
        print(f"  each row adds {each:.0f} bytes")


if __name__ == "__main__":
    main()

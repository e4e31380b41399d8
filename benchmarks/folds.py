"""Fit every fold of a config and score all their test predictions as one.

    python benchmarks/folds.py ravdess.yaml 6 --data.root PATH
    python benchmarks/folds.py emotiontts.yaml 25 --data.root PATH \
        --data.protocol.name speakers+sentences

As many folds run side by side as there are cores, one thread each. A fold that has a finished
run is not fitted again. Read the rows against the floor: an interval over speakers (95 %) that
does not reach it is the least one may ask.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from emoflow.commands.experiment import read_stages
from emoflow.evaluation import evaluate, to_text


def fit_fold(config: str, fold: int, name: str, words: list[str]) -> Path:
    """Fit one fold in a process of its own and return its run folder."""
    run = Path("runs") / f"{Path(config).stem}-folds" / f"{name}-{fold}"
    if not (run / "metrics.json").is_file():
        command = [sys.executable, "-m", "emoflow.cli", "fit"]
        if (run / "config.yaml").is_file():
            command += ["--resume", str(run)]
        else:
            command += ["--config", config, *words, "--data.protocol.fold", str(fold)]
            command += ["--experiment", run.parent.name, "--run", run.name]
            command += ["--trainer.enable_progress_bar", "false"]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"fold {fold}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return run


def main() -> None:
    """Fit, pool, print."""
    config, folds, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    _, stages = read_stages(config, words)
    name = f"{stages[0].config.data.init_args.protocol.name}-seed{stages[0].config.seed}"
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = list(pool.map(lambda fold: fit_fold(config, fold, name, words), range(folds)))
    task = stages[-1].config.task.init_args
    frames = [pd.read_parquet(run / "predictions.parquet") for run in runs]
    for split in ("validation", "test"):
        pooled = pd.concat([frame[frame["split"] == split] for frame in frames])
        if pooled.empty:
            continue
        if split == "validation":  # an utterance may validate several folds: each counts
            pooled["key"] = pooled.groupby(["subset", "key"]).cumcount().astype(str) + pooled["key"]
        truth = pooled[pooled["subset"] == pooled["subset"].iloc[0]]["emotion"]
        number = {label: i for i, label in enumerate(task.labels)}
        result = evaluate(
            pooled,
            labels=task.labels,
            target="emotion",
            training=truth.map(number).fillna(-1).astype(int).to_numpy(),
        )
        print(f"{config}, {folds} folds of {name}, {split} pooled\n{to_text(result)}\n")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()

"""``emoflow test``: score a run's best checkpoint on the test split again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from emoflow.commands.experiment import read_stages
from emoflow.commands.fit import stage_folders, take_option, tiny_numbers_as_zero
from emoflow.errors import ConfigError

USAGE = """usage: emoflow test --run RUN [--retrain-subsets] [--data.root PATH] [--key value ...]

Scores checkpoints/best.ckpt of a run folder on the test split of its own config, and writes
predictions.parquet, metrics.json, confusion.png and report.html there anew. The split must
have the fingerprint that the checkpoint was trained under.

  --retrain-subsets   also train the last stage's net for every subset of its modalities alone
                      (in RUN/subsets, finished ones are kept), and show them side by side
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    words = list(arguments)
    if not words or "-h" in words or "--help" in words:
        print(USAGE)
        return 0
    retraining = "--retrain-subsets" in words
    words = [word for word in words if word != "--retrain-subsets"]
    run, words = take_option(words, "run")
    if run is None:
        raise ConfigError("which run?", "give --run RUN, a folder that emoflow fit made")
    folder = Path(run)
    path = folder / "config.yaml"
    if not path.is_file():
        raise ConfigError(f"{folder}: not a run folder, config.yaml is missing", "check the path")

    from emoflow.commands.retrain import retrain_subsets
    from emoflow.commands.stage import retest_stage
    from emoflow.commands.summary import print_summary

    _, stages = read_stages(yaml.safe_load(path.read_text(encoding="utf-8")), words)
    folders = stage_folders(folder, stages)
    if retraining:
        group = f"{stages[-1].config.experiment}/{folder.name}"
        with tiny_numbers_as_zero():
            retrain_subsets(stages[-1], folder, folders, group)
    results: dict[str, Any] = {}
    for stage in stages:
        before = results if stage is stages[-1] else {}
        results[stage.name] = retest_stage(stage, folders[stage.name], before)
    if all(results.values()):
        print_summary(folder, results)
    return 0

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emoflow.cli import main
from emoflow.commands.fit import fit
from emoflow.tasks import load_task
from tests.conftest import ENCODERS

pytestmark = pytest.mark.usefixtures("no_report")

POOLED = {"kind": "attentive_statistics", "width": 8}


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "metrics.json").read_text(encoding="utf-8")))


def test_nets_retrained_for_each_subset_stand_beside_the_merged_one(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = {m: {"encoder": ENCODERS[m], "attention": {"layers": 0}} for m in ("speech", "text")}
    net = {"class_path": "MergedNetConfig", "init_args": {**sides, "fusion": "gated"}}
    net["init_args"]["head"] = POOLED
    labels = ["neutral", "happy", "sad", "angry"]
    protocol = {"name": "sessions", "folds": 5, "validation": 0.3}
    content = {
        "task": {"class_path": "EmotionClassifier", "init_args": {"net": net, "labels": labels}},
        "data": {"class_path": "KEMDy20", "init_args": {"root": str(demo_root)}},
        "trainer": {"max_epochs": 1, "enable_progress_bar": False},
        "folder": str(tmp_path),
    }
    content["data"]["init_args"]["protocol"] = protocol
    folder = fit(content)
    assert "retrained" not in read(folder)
    assert main(["test", "--run", str(folder), "--retrain-subsets"]) == 0
    assert "speech alone" in capsys.readouterr().out
    metrics = read(folder)
    whole = metrics["splits"]["test"]["subsets"]
    assert set(whole) == {"speech+text", "speech", "text"}
    assert set(metrics["retrained"]) == {"speech", "text"}
    for subset, scores in metrics["retrained"].items():
        own = read(folder / "subsets" / subset)
        assert own["splits"]["test"]["subsets"] == {subset: scores}
        assert own["protocol"]["fingerprint"] == metrics["protocol"]["fingerprint"]
        gap = metrics["retrained_difference"][subset]["uar"]["value"]
        assert gap == pytest.approx(whole[subset]["uar"]["value"] - scores["uar"]["value"])
        net = load_task(folder / "subsets" / subset / "checkpoints" / "best.ckpt").net
        assert net.modalities == (subset,)
    # A retrained net is a run like any other; what was retrained is kept.
    alone = folder / "subsets" / "speech"
    stamp = (alone / "checkpoints" / "best.ckpt").stat().st_mtime_ns
    assert main(["test", "--run", str(folder), "--retrain-subsets"]) == 0
    assert (alone / "checkpoints" / "best.ckpt").stat().st_mtime_ns == stamp
    assert read(folder) == metrics
    assert main(["test", "--run", str(alone), "--retrain-subsets"]) == 1
    assert "its net has one modality, speech" in capsys.readouterr().err

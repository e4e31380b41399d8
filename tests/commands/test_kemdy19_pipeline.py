from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, BertConfig

from emoflow.cli import main
from emoflow.tasks import load_task
from emoflow.testing import write_kemdy19
from tests.frontends.test_tokenizers import train_pieces
from tests.nets.conftest import TINY_BERT

pytestmark = pytest.mark.usefixtures("no_report")

SUBSETS = ["speech+text+signals", "speech+text", "speech+signals", "text+signals"]
SUBSETS += ["speech", "text", "signals"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What makes system C small: a tiny BERT, few channels, two epochs."""
    folder = tmp_path_factory.mktemp("kemdy19")
    torch.manual_seed(0)
    AutoModel.from_config(BertConfig(**TINY_BERT)).save_pretrained(folder / "kobert")
    (folder / "kobert" / "spiece.model").write_bytes(train_pieces(special=True))
    write_kemdy19(folder / "KEMDy19", count=108, sessions=(1, 2, 3, 4, 5, 6, 8, 9, 10))
    return [
        *("--data.root", str(folder / "KEMDy19"), "--data.on_bad_utterance", "skip"),
        *("--folder", str(folder), "--trainer.max_epochs", "1"),
        *("--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"),
        *("--text.task.net.encoder.name", str(folder / "kobert")),
        *("--speech.task.net.encoder.channels", "[4,4,4,4]", "--run", "whole"),
    ]


def test_system_c_runs_from_one_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--config", "kemdy19.yaml", *words]) == 0
    run = Path(words[words.index("--folder") + 1]) / "kemdy19" / "whole"
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    test = metrics["splits"]["test"]
    assert list(test["subsets"]) == SUBSETS
    assert ("signals", "speech+text") in {(g["modality"], g["to"]) for g in test["gains"]}
    assert set(metrics["stages"]) == {"speech", "text", "signals"}
    task = load_task(run / "checkpoints" / "best.ckpt")
    for stage in ("speech", "text", "signals"):
        own = load_task(run / "stages" / stage / "checkpoints" / "best.ckpt").net
        assert torch.equal(own.output.weight, task.net.fusion.outputs[stage].weight)
    assert bool(task.net.fusion.fitted)
    shown = capsys.readouterr().out
    assert all(f"│ {subset}" in shown for subset in SUBSETS)

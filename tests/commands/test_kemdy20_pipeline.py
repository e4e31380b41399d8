from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModel, BertConfig

from emoflow.cli import main
from emoflow.commands.config_files import find_config
from emoflow.commands.fit import fit
from emoflow.tasks import load_task
from tests.frontends.test_tokenizers import train_pieces
from tests.nets.conftest import TINY_BERT

pytestmark = pytest.mark.usefixtures("no_report")

SMALL = ["--task.net.attention.layers", "1", "--task.net.attention.heads", "2"]
SMALL += ["--task.net.attention.feed_forward", "16", "--task.net.head.width", "8"]
QUICK = ["--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false"]
QUICK += ["--data.protocol.validation", "0.3", "--trainer.accelerator", "cpu"]


@pytest.fixture
def kobert(tmp_path: Path) -> Path:
    """A tiny BERT with a vocabulary of KoBERT's form, in a folder."""
    folder = tmp_path / "kobert"
    torch.manual_seed(0)
    AutoModel.from_config(BertConfig(**TINY_BERT)).save_pretrained(folder)
    (folder / "spiece.model").write_bytes(train_pieces(special=True))
    return folder


def test_valence_from_a_frozen_bert_and_its_checkpoint_without_it(
    kobert: Path, demo_root: Path, tmp_path: Path
) -> None:
    words = ["--data.root", str(demo_root), "--task.net.encoder.name", str(kobert)]
    words += ["--folder", str(tmp_path / "runs"), "--run", "one"]
    folder = fit("kemdy20-valence.yaml", [*words, *SMALL, *QUICK])
    theirs = AutoModel.from_pretrained(kobert).state_dict()
    shutil.rmtree(kobert)
    path = folder / "checkpoints" / "best.ckpt"
    torch.load(path, weights_only=True)
    task = load_task(path)
    own = task.net.text.encoder.model.state_dict()
    assert own
    assert all(torch.equal(value, theirs[name]) for name, value in own.items())
    ids = task.tokenizer.encode("오늘 날씨가 좋다", 64)
    assert (ids[0], ids[-1]) == (2, 3)
    assert len(ids) > 2
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert "ccc_valence" in metrics["splits"]["test"]["subsets"]["text"]
    before = (folder / "metrics.json").read_bytes()
    assert main(["test", "--run", str(folder)]) == 0
    assert (folder / "metrics.json").read_bytes() == before


def test_missing_weights_say_what_to_do(demo_root: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["--data.root", str(demo_root), "--task.net.encoder.name", str(tmp_path / "nowhere")]
    words += ["--folder", str(tmp_path / "runs"), *SMALL, *QUICK]
    assert main(["fit", "--config", "kemdy20-valence.yaml", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("emoflow fit: ")
    assert "nowhere could not be loaded" in error
    assert "hf download" in error
    assert "local folder" in error


def test_a_missing_corpus_says_what_to_do(tmp_path: Path, capsys: Any) -> None:
    content = yaml.safe_load(find_config("kemdy20-arousal").read_text(encoding="utf-8"))
    assert content["data"]["init_args"]["root"] == "KEMDy20"
    words = ["--data.root", str(tmp_path / "nowhere"), "--folder", str(tmp_path / "runs"), *QUICK]
    assert main(["fit", "--config", "kemdy20-arousal.yaml", *words]) == 1
    error = capsys.readouterr().err
    assert "nowhere" in error
    assert "\n  → " in error

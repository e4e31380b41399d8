from pathlib import Path

import pytest
import torch

from emoflow.commands.fit import fit
from emoflow.commands.machine import fast_precision
from tests.conftest import unimodal


@pytest.mark.parametrize(
    ("able", "asked", "got"),
    [
        ({"avx512_bf16": False, "avx2": True}, "bf16-mixed", "32-true"),
        ({"avx512_bf16": False, "avx2": True}, "32-true", "32-true"),
        ({"avx512_bf16": False, "avx2": True}, None, None),
        ({"avx512_bf16": True}, "bf16-mixed", "bf16-mixed"),
        ({"neon": True, "bf16": True}, "bf16-mixed", "bf16-mixed"),
        ({}, "bf16-mixed", "bf16-mixed"),  # not known
    ],
)
def test_emulated_bf16_is_replaced_aloud(
    able: dict[str, bool], asked: str, got: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    precision, line = fast_precision({"precision": asked, "accelerator": "cpu"})
    assert precision == got
    assert ("no bf16 instructions" in line) == (asked != got)


def test_an_accelerator_computes_in_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    options = {"precision": "bf16-mixed", "accelerator": "auto"}
    assert fast_precision(options) == ("bf16-mixed", "")


def test_fit_does_not_emulate(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    data = {"root": str(demo_root), "protocol": {"name": "sessions", "folds": 5}}
    content = unimodal("ArousalRegressor", "speech")
    content |= {"data": {"class_path": "KEMDy20", "init_args": data}, "folder": str(tmp_path)}
    content["trainer"] = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False}
    in_32 = fit(content, ["--run", "32"])
    asked = fit(content, ["--run", "bf16", "--trainer.precision", "bf16-mixed"])
    assert "computing in 32-true" in (asked / "log.txt").read_text(encoding="utf-8")
    assert "computing in" not in (in_32 / "log.txt").read_text(encoding="utf-8")
    history = [(run / "history.csv").read_text() for run in (in_32, asked)]
    assert history[0] == history[1]

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from emoflow.cli import main
from emoflow.commands.fit import fit
from tests.commands.test_loggers import config


def audit(root: Path, tmp_path: Path, *words: str) -> int:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(config(root, "csv")))
    return main(["audit", "--config", str(path), *words])


def test_a_sound_split_is_described(demo_root: Path, tmp_path: Path, capsys: Any) -> None:
    assert audit(demo_root, tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"kemdy20: 120 utterances in {demo_root}"
    assert any(line.startswith("splits: train ") and "fingerprint" in line for line in lines)
    assert any("sentence" in line for line in lines)


def test_speakers_of_one_session_in_two_splits_are_an_error_with_a_way_out(
    demo_root: Path, tmp_path: Path, capsys: Any
) -> None:
    words = ["--data.protocol.name", "speakers", "--data.protocol.fold", "1"]
    assert audit(demo_root, tmp_path, *words) == 1
    captured = capsys.readouterr()
    assert "session" in captured.out
    assert captured.err.startswith("emoflow audit: ")
    assert "session" in captured.err
    assert "on_overlap" in captured.err
    assert audit(demo_root, tmp_path, *words, "--data.protocol.on_overlap.sessions", "allow") == 0


def test_a_random_split_needs_to_be_asked_for_twice(
    demo_root: Path, tmp_path: Path, capsys: Any
) -> None:
    assert audit(demo_root, tmp_path, "--data.protocol.name", "random") == 1
    error = capsys.readouterr().err
    assert "random" in error
    assert "on_overlap" in error
    words = ["--data.protocol.name", "random", "--data.protocol.on_overlap", "warn"]
    assert audit(demo_root, tmp_path, *words) == 0
    assert "speaker" in capsys.readouterr().out


def test_a_random_runs_report_says_so_in_red(demo_root: Path, tmp_path: Path) -> None:
    words = ["--data.protocol.name", "random", "--data.protocol.on_overlap", "warn"]
    words += ["--trainer.max_epochs", "1", "--folder", str(tmp_path)]
    folder = fit(config(demo_root, "csv"), words)
    assert "speaker-dependent" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "1"], "which config?"),
        (["--config", "nothing"], "no config 'nothing'"),
    ],
)
def test_what_audit_cannot_do_is_said(words: list[str], said: str, capsys: Any) -> None:
    assert main(["audit", *words]) == 1
    assert said in capsys.readouterr().err


def test_audit_explains_itself(capsys: Any) -> None:
    assert main(["audit", "--help"]) == 0
    assert "usage: emoflow audit" in capsys.readouterr().out

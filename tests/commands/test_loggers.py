from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from emoflow.commands.fit import fit
from emoflow.commands.loggers import wandb_is_logged_in
from tests.tasks.test_base import LABELS, NETS
from tests.wandb_log import read

pytestmark = pytest.mark.usefixtures("no_report")


def config(root: Path, kind: str) -> dict[str, Any]:
    """One stage: emotions from text, two epochs."""
    return {
        "experiment": "tiny",
        "logger": {"kind": kind, "project": "feelings"},
        "task": {
            "class_path": "EmotionClassifier",
            "init_args": {"labels": list(LABELS), "net": NETS["text"]},
        },
        "data": {
            "class_path": "KEMDy20",
            "init_args": {
                "root": str(root),
                "protocol": {"name": "sessions", "folds": 5, "validation": 0.3},
            },
        },
        "trainer": {"max_epochs": 2, "enable_progress_bar": False, "accelerator": "cpu"},
    }


@pytest.fixture
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody is logged in, and nobody is there to answer."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "NETRC", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked for input"))


@pytest.mark.usefixtures("_nobody")
def test_wandb_goes_offline_by_itself_and_keeps_everything(demo_root: Path, tmp_path: Path) -> None:
    runs = [
        fit(config(demo_root, "wandb"), ["--folder", str(tmp_path / "runs"), "--run", name])
        for name in ("first", "second")
    ]
    logs = []
    for folder in runs:
        (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
        logs.append(read(path))
    assert logs[0]["name"] != logs[1]["name"]
    for name, folder, log in zip(("first", "second"), runs, logs, strict=True):
        assert (log["project"], log["group"], log["job_type"]) == (
            "feelings",
            f"tiny/{name}",
            "fit",
        )
        configs = [one for one in log["configs"] if "protocol" in one]
        assert len(configs) == 1
        assert configs[0]["protocol"]["name"] == "sessions"
        assert len(configs[0]["protocol"]["fingerprint"]) == 64
        assert configs[0]["task"]["init_args"]["labels"] == list(LABELS)
        for key in ("val/macro_f1", "val/uar", "val/loss", "train/loss"):
            rows = [row for row in log["history"] if key in row]
            assert [row["epoch"] for row in rows] == [0, 1], key
        images = [file for row in log["history"] for file in row.get("val/confusion/filenames", [])]
        tables = [path for row in log["history"] if (path := row.get("val/confusion_table/path"))]
        assert len(images) == len(tables) == 2
        files = next(folder.glob("wandb/offline-run-*/files"))
        for image in images:
            assert (files / image).read_bytes().startswith(b"\x89PNG")
        for table in tables:
            content = json.loads((files / table).read_text(encoding="utf-8"))
            assert content["columns"] == ["truth", *LABELS]
            assert [row[0] for row in content["data"]] == list(LABELS)
            counts = sum(sum(row[1:]) for row in content["data"])
            assert counts > 0


def test_tensorboard_writes_events_with_metrics_and_confusion(
    demo_root: Path, tmp_path: Path
) -> None:
    folder = fit(config(demo_root, "tensorboard"), ["--folder", str(tmp_path)])
    events = list((folder / "tensorboard").glob("events.out.tfevents.*"))
    assert events
    loading = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    reader = loading.EventAccumulator(str(folder / "tensorboard"))
    reader.Reload()
    tags = reader.Tags()
    assert {"val/macro_f1", "val/uar", "train/loss"} <= set(tags["scalars"])
    assert [event.step for event in reader.Images("val/confusion")] == [0, 1]
    assert not (folder / "wandb").exists()


@pytest.mark.usefixtures("_nobody")
@pytest.mark.parametrize(
    ("content", "known"),
    [
        ("machine api.wandb.ai login user password secret\n", True),
        ("machine api.wandb.ai\n  login user\n  password secret\n", True),
        ("machine example.org login user password secret\n", False),
        ("machine wandb.example.org login user password secret\n", False),
        ("", False),
        ("machine api.wandb.ai login\n", False),
        ("this is not a netrc file\n", False),
        (None, False),
    ],
)
def test_a_login_is_a_key_in_netrc(
    content: str | None, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / ".netrc").write_text(content)
        (tmp_path / ".netrc").chmod(0o600)
    assert wandb_is_logged_in() is known
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert wandb_is_logged_in()


@pytest.mark.usefixtures("_nobody")
def test_a_login_belongs_to_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").write_text("machine wandb.example.org login user password secret\n")
    (tmp_path / "keys").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "keys"))
    assert not wandb_is_logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org/api")
    assert wandb_is_logged_in()

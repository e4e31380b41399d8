from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from emoflow.cli import main
from emoflow.commands.experiment import read_stages
from emoflow.data.locks import FileLock
from tests.conftest import ENCODERS, without_reports
from tests.tasks.test_base import LABELS, NETS, POOLED
from tests.wandb_log import read

SHORT = {"max_epochs": 1, "enable_progress_bar": False, "enable_model_summary": False}
GRID = "emotion.task.net.head.width"


def config(root: Path) -> dict[str, Any]:
    """Valence from text, on top of it emotions, and a stage that no trial needs."""
    tower = {"encoder": ENCODERS["text"], "attention": {"layers": 0}}
    merged = {"fusion": "concatenated", "speech": None, "text": tower, "head": POOLED}
    net = {"class_path": "MergedNetConfig", "init_args": merged}
    emotions = {"labels": list(LABELS), "net": net}
    optimisation = {"learning_rate": 0.02}
    return {
        "experiment": "tiny",
        "data": {
            "class_path": "KEMDy20",
            "init_args": {
                "root": str(root),
                "protocol": {"name": "sessions", "folds": 5, "validation": 0.3},
            },
        },
        "trainer": {**SHORT, "accelerator": "cpu"},
        "stages": {
            "valence": {
                "task": {"class_path": "ValenceRegressor", "init_args": {"net": NETS["text"]}}
            },
            "emotion": {
                "warm_start": {"text": "valence"},
                "task": {
                    "class_path": "EmotionClassifier",
                    "init_args": {**emotions, "optimisation": optimisation},
                },
                "trainer": {"max_epochs": 2},
            },
            "later": {
                "warm_start": {"text": "emotion"},
                "task": {"class_path": "EmotionClassifier", "init_args": emotions},
            },
        },
    }


@pytest.fixture(scope="module", autouse=True)
def _no_report() -> Iterator[None]:
    with without_reports():
        yield


@pytest.fixture(scope="module")
def words(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command line: two settings that can be fitted and one that cannot, two seeds."""
    folder = tmp_path_factory.mktemp("sweep")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config(demo_root), sort_keys=False), encoding="utf-8")
    grid = f"{GRID}=4,-1,8"
    return ["sweep", "--config", str(path), "--grid", grid, "--folder", str(folder / "runs")]


@pytest.fixture(scope="module")
def swept(words: list[str]) -> Path:
    """The finished sweep."""
    assert main([*words, "--seeds", "2"]) == 0
    return Path(words[-1]) / "tiny" / "sweep-width"


def result(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "sweep.json").read_text(encoding="utf-8")))


def best_of(trial: Path) -> float:
    return float(pd.read_csv(trial / "history.csv")["val/macro_f1"].max())


def times(folder: Path) -> dict[str, int]:
    files = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in files}


def test_the_best_mean_over_seeds_of_validation_is_selected(swept: Path) -> None:
    means = {
        width: sum(best_of(swept / "trials" / f"width-{width}_seed-{seed}") for seed in (0, 1)) / 2
        for width in (4, 8)
    }
    found = result(swept)
    assert found["monitor"] == "val/macro_f1"
    assert {s["name"]: s["mean"] for s in found["settings"]} == {
        "width-4": pytest.approx(means[4]),
        "width--1": None,
        "width-8": pytest.approx(means[8]),
    }
    assert found["selected"] == {GRID: max(means, key=means.__getitem__)}


def test_only_the_selected_setting_is_tested(swept: Path) -> None:
    (width,) = result(swept)["selected"].values()
    tested = {path.parent.name for path in swept.rglob("metrics.json")}
    assert tested == {f"width-{width}_seed-0", f"width-{width}_seed-1"}
    assert {path.parent.name for path in swept.rglob("predictions.parquet")} == tested
    for history in swept.rglob("history.csv"):
        assert not [name for name in pd.read_csv(history).columns if name.startswith("test")]
    for checkpoint in swept.rglob("validation.json"):
        assert "test" not in checkpoint.read_text(encoding="utf-8")
    assert set(result(swept)["test"]) == {"0", "1"}


def test_a_setting_that_fails_is_recorded_and_the_others_go_on(swept: Path) -> None:
    with (swept / "sweep.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row[GRID] == "-1"]
    assert [row["seed"] for row in rows] == ["0", "1"]
    assert all(row["val/macro_f1"] == "" and "width" in row["error"] for row in rows)
    assert "Failed" in (swept / "sweep.html").read_text(encoding="utf-8")


def test_stages_are_fitted_once_per_seed_and_only_if_needed(swept: Path) -> None:
    shared = [path.name for path in (swept / "stages").iterdir()]
    assert len(shared) == 2
    assert all(name.startswith("valence-") for name in shared)
    for seed in (0, 1):
        linked = {
            (swept / "trials" / f"width-{width}_seed-{seed}" / "stages" / "valence").resolve()
            for width in (4, 8)
        }
        assert len(linked) == 1
        stage = yaml.safe_load((linked.pop() / "config.yaml").read_text(encoding="utf-8"))
        assert stage["seed"] == seed
    assert not list(swept.rglob("later*"))


def test_every_trial_is_a_run_folder_with_its_own_config(swept: Path) -> None:
    for width in (4, 8):
        trial = swept / "trials" / f"width-{width}_seed-1"
        for name in ("checkpoints/best.ckpt", "protocol.json", "environment.json", "log.txt"):
            assert (trial / name).is_file()
        _, stages = read_stages(str(trial / "config.yaml"))
        assert [stage.name for stage in stages] == ["valence", "emotion"]
        own = stages[-1].plain()
        assert own["task"]["init_args"]["net"]["init_args"]["head"]["init_args"]["width"] == width
        assert own["seed"] == 1


def test_trials_are_a_group_of_the_dashboard_with_their_settings(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    grid = words.index("--grid") + 1
    given = [*words[:grid], "valence.task.net.head.width=4", *words[grid + 1 : -1], str(tmp_path)]
    assert main([*given, "--logger.kind", "wandb", "--logger.project", "feelings"]) == 0
    assert not (tmp_path / "tiny" / "sweep-width" / "stages").exists()
    (path,) = tmp_path.rglob("run-*.wandb")
    log = read(path)
    assert (log["project"], log["group"], log["job_type"], log["name"]) == (
        "feelings",
        "tiny/sweep-width",
        "trial",
        "sweep-width width-4_seed-0",
    )
    (about,) = [one["sweep"] for one in log["configs"] if "sweep" in one]
    assert about == {"valence.task.net.head.width": 4, "seed": 0}
    keys = {key for row in log["history"] for key in row}
    assert "val/ccc_valence" in keys
    assert not [key for key in keys if key.startswith("test")]


def test_the_best_config_is_whole(swept: Path) -> None:
    (width,) = result(swept)["selected"].values()
    top, stages = read_stages(str(swept / "best.yaml"))
    assert (top["experiment"], top["run"]) == ("tiny", None)
    assert [stage.name for stage in stages] == ["valence", "emotion", "later"]
    head = stages[1].plain()["task"]["init_args"]["net"]["init_args"]["head"]
    assert head["init_args"]["width"] == width


def test_nothing_is_done_twice_and_what_was_cut_off_is_finished(
    words: list[str], swept: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "tiny" / "sweep-width"
    shutil.copytree(swept, folder, symlinks=True)
    cut = folder / "trials" / "width-8_seed-1"
    value = json.loads((cut / "validation.json").read_text(encoding="utf-8"))["value"]
    (cut / "validation.json").unlink()
    before = times(folder)
    assert main([*words[:-1], str(tmp_path / "runs"), "--seeds", "2"]) == 0
    after = times(folder)
    changed = {name for name in after if after[name] != before.get(name)}
    places = {Path(name).parts[1] for name in changed if name.startswith("trials")}
    assert places == {"width-8_seed-1"}
    assert not [name for name in changed if name.startswith("stages") or name.endswith(".ckpt")]
    assert json.loads((cut / "validation.json").read_text(encoding="utf-8"))["value"] == value
    assert result(folder)["selected"] == result(swept)["selected"]
    before = times(folder / "trials")
    assert main(["sweep", "--resume", str(folder)]) == 0
    assert times(folder / "trials") == before


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (["--grid", "task.net.heed.width=1,2"], "heed"),
        (["--stage", "valence"], "does not reach stage valence"),
        (["--grid", "data.protocol.fold=0,1"], "changes the split"),
        (["--grid", f"{GRID}=4,8"], "is there twice"),
        (["--stage", "neither"], "its stages are valence, emotion, later"),
        (["--emotion.data.protocol.validation", "0"], "--data.protocol.validation 0.1"),
        (["--monitor", "test/uar"], "not a validation metric"),
        (["--seeds", "3"], "--seeds is there twice"),
        (["--search", "two"], "not a whole number"),
        (["--emotion.trainer.devices", "2"], "set both to 1"),
        (["--run", "sweep-width", "--valence.patience", "2"], "with other the config"),
        (["--run", "taken"], "there is something else"),
    ],
)
def test_what_cannot_be_swept_is_refused(
    more: list[str], error: str, words: list[str], swept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = swept.parent / "taken"
    other.mkdir(exist_ok=True)
    (other / "config.yaml").write_text("mine", encoding="utf-8")
    before = times(swept)
    assert main([*words, "--seeds", "2", *more]) == 1
    assert error in capsys.readouterr().err
    assert times(swept) == before


def test_one_process_at_a_time(
    swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    shutil.copytree(swept, folder, symlinks=True)
    lock = FileLock(folder / ".lock")
    lock.acquire(0.0, "tests")
    try:
        assert main(["sweep", "--resume", str(folder)]) == 1
    finally:
        lock.release()
    assert "runs the sweep" in capsys.readouterr().err


def test_a_sweep_in_which_everything_fails_says_so(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = words.index("--grid") + 1
    given = [*words[:grid], f"{GRID}=-1", *words[grid + 1 : -1], str(tmp_path)]
    assert main(given) == 1
    assert "Every setting failed" in capsys.readouterr().out
    folder = tmp_path / "tiny" / "sweep-width"
    assert result(folder)["selected"] is None
    assert not (folder / "best.yaml").exists()
    assert not list(folder.rglob("metrics.json"))

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import balanced_accuracy_score, f1_score

from emoflow.cli import main
from emoflow.commands.fit import fit
from emoflow.errors import ConfigError, ProtocolError
from emoflow.tasks import EmotionClassifier, load_task
from tests.conftest import unimodal

CONTRACT = [
    "config.yaml",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
    "protocol.json",
    "metrics.json",
    "predictions.parquet",
    "report.html",
    "environment.json",
    "log.txt",
    "history.csv",
]


UNDRAWN = (
    "from emoflow.cli import main\n"
    "from emoflow.commands import scoring\n"
    "scoring.write_report = scoring.save_figure = lambda *_: None\n"
)
"""What a process of its own begins with: it draws no report."""


@pytest.fixture(scope="module")
def run(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One fit of the three tiny stages, uninterrupted."""
    folder = tmp_path_factory.mktemp("runs")
    return fit(str(tiny_config), ["--folder", str(folder), "--run", "whole"])


def _metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def test_every_stage_leaves_the_files_of_a_run_folder(run: Path) -> None:
    assert run.parent.name == "tiny"
    for folder in (run, run / "stages" / "arousal", run / "stages" / "valence"):
        assert [name for name in CONTRACT if not (folder / name).is_file()] == []
    assert (run / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_have_the_promised_shape(run: Path) -> None:
    metrics = _metrics(run)
    test = metrics["splits"]["test"]
    assert set(test["subsets"]) == {"speech+text", "speech", "text"}
    assert {"value", "low", "high"} == set(test["subsets"]["speech+text"]["macro_f1"])
    assert test["floor"]["macro_f1"] <= 1 / 4
    assert test["speakers"] == 2
    assert len(metrics["protocol"]["fingerprint"]) == 64
    assert set(metrics["stages"]) == {"arousal", "valence"}
    assert "ccc_arousal" in metrics["stages"]["arousal"]["splits"]["test"]["subsets"]["speech"]


def test_scores_agree_with_sklearn_on_the_stored_predictions(run: Path) -> None:
    frame = pd.read_parquet(run / "predictions.parquet")
    frame = frame[(frame["split"] == "test") & (frame["subset"] == "speech+text")]
    frame = frame[frame["emotion"].isin(["neutral", "happy", "sad", "angry"])]
    scores = _metrics(run)["splits"]["test"]["subsets"]["speech+text"]
    f1 = f1_score(
        frame["emotion"],
        frame["predicted"],
        average="macro",
        labels=["neutral", "happy", "sad", "angry"],
        zero_division=0,
    )
    uar = balanced_accuracy_score(frame["emotion"], frame["predicted"])
    assert scores["macro_f1"]["value"] == pytest.approx(f1, abs=1e-6)
    assert scores["uar"]["value"] == pytest.approx(uar, abs=1e-6)


def test_all_stages_share_one_protocol(run: Path) -> None:
    folders = (run, run / "stages" / "arousal", run / "stages" / "valence")
    assert len({_metrics(f)["protocol"]["fingerprint"] for f in folders}) == 1


def test_checkpoints_are_plain_and_the_merged_one_needs_no_other(run: Path, tmp_path: Path) -> None:
    for folder in (run, run / "stages" / "arousal", run / "stages" / "valence"):
        torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    alone = tmp_path / "alone.ckpt"
    alone.write_bytes((run / "checkpoints" / "best.ckpt").read_bytes())
    task = EmotionClassifier.load_from_checkpoint(alone)
    assert task.labels == ("neutral", "happy", "sad", "angry")
    assert type(load_task(alone)) is EmotionClassifier


def test_frozen_towers_are_those_of_the_pretrained_stages(run: Path) -> None:
    merged = load_task(run / "checkpoints" / "best.ckpt").net.state_dict()
    for stage, tower in (("arousal", "speech"), ("valence", "text")):
        path = run / "stages" / stage / "checkpoints" / "best.ckpt"
        own = load_task(path).net.state_dict()
        names = [name for name in own if name.startswith(f"{tower}.")]
        assert names
        assert all(torch.equal(own[name], merged[name]) for name in names)


@pytest.mark.usefixtures("no_report")
def test_the_same_command_twice_gives_the_same_metrics(
    run: Path, tiny_config: Path, tmp_path: Path
) -> None:
    again = fit(str(tiny_config), ["--folder", str(tmp_path), "--run", "again"])
    assert (again / "metrics.json").read_bytes() == (run / "metrics.json").read_bytes()


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("stage", ["valence"])
def test_a_killed_run_resumes_to_the_result_it_would_have_reached(
    run: Path, tiny_config: Path, tmp_path: Path, stage: str
) -> None:
    words = ["fit", "--config", str(tiny_config), "--folder", str(tmp_path), "--run", "killed"]
    folder = tmp_path / "tiny" / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{UNDRAWN}main({words!r})"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    cut = folder / "stages" / stage / "checkpoints" / "last.ckpt"
    until = time.monotonic() + 120
    while not cut.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert cut.exists()
    assert not (folder / "metrics.json").exists()
    finished = folder / "stages" / "arousal" / "metrics.json"
    before = finished.stat().st_mtime_ns
    assert main(["fit", "--resume", str(folder)]) == 0
    assert finished.stat().st_mtime_ns == before
    assert (folder / "metrics.json").read_bytes() == (run / "metrics.json").read_bytes()


def test_a_second_run_of_the_same_name_is_refused(tiny_config: Path, run: Path) -> None:
    with pytest.raises(ConfigError, match="there is a run already"):
        fit(str(tiny_config), ["--folder", str(run.parents[1]), "--run", "whole"])


def test_a_pretrained_stage_that_has_seen_the_test_split_is_refused(
    tiny_config: Path, run: Path, tmp_path: Path
) -> None:
    content = yaml.safe_load(tiny_config.read_text(encoding="utf-8"))
    stage = content["stages"]["emotion"] | {"data": content["data"], "trainer": content["trainer"]}
    pretrained = {"speech": "arousal", "text": "valence"}
    stage["warm_start"] = {m: str(run / "stages" / name) for m, name in pretrained.items()}
    with pytest.raises(ProtocolError, match=r"was trained on \d+ of the \d+ utterances of this"):
        fit(stage, ["--folder", str(tmp_path), "--data.protocol.fold", "1"])


@pytest.mark.usefixtures("no_report")
def test_testing_a_run_again_gives_the_same_metrics(run: Path, tmp_path: Path, capsys) -> None:
    before = (run / "metrics.json").read_bytes()
    assert main(["test", "--run", str(run)]) == 0
    assert (run / "metrics.json").read_bytes() == before
    assert "macro_f1" in capsys.readouterr().out


def test_testing_under_another_split_is_refused(run: Path, capsys) -> None:
    assert main(["test", "--run", str(run), "--data.protocol.fold", "1"]) == 1
    assert "trained under another split" in capsys.readouterr().err


def test_environment_says_what_ran_where(run: Path) -> None:
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert environment["packages"]["torch"] == version("torch")
    assert environment["command"]


@pytest.mark.usefixtures("no_report")
def test_averaged_weights_are_scored_as_they_were_selected(demo_root: Path, tmp_path: Path) -> None:
    content = unimodal("ArousalRegressor", "speech")
    protocol = {"name": "sessions", "folds": 5, "validation": 0.3}
    data = {"root": str(demo_root), "protocol": protocol, "batch": {"max_utterances": 16}}
    content |= {"data": {"class_path": "KEMDy20", "init_args": data}, "average_weights": 0.8}
    content |= {"folder": str(tmp_path), "monitor": "val/rmse_arousal", "patience": None}
    content |= {"trainer": {"max_epochs": 2, "enable_progress_bar": False}}
    content["task"]["init_args"]["optimisation"] = {"learning_rate": 1.0, "schedule": "constant"}
    run = fit(content)
    metrics = json.loads((run / "metrics.json").read_text())
    history = pd.read_csv(run / "history.csv").set_index("epoch")["val/rmse_arousal"]
    best = metrics["training"]["best_epoch"]
    assert best == history.idxmin() != history.index[-1]
    found = metrics["splits"]["validation"]["subsets"]["speech"]["rmse_arousal"]["value"]
    assert found == pytest.approx(history[best], rel=1e-5)


def test_processes_that_hold_no_metrics_print_none(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _metrics(run)
    monkeypatch.setattr("emoflow.commands.stage.run_stage", lambda *_, **__: {})
    assert fit(str(run / "config.yaml"), run_folder=run) == run
    assert "report" not in capsys.readouterr().out
    assert _metrics(run) == before


def test_numbers_too_small_to_matter_are_zero_in_every_thread() -> None:
    code = (
        "import torch\n"
        "from emoflow.cli import main\n"
        "from emoflow.commands import fit\n"
        "def count(*_):\n"
        "    tiny = torch.full((4_000_000,), 1e-39).mul(1.0)\n"
        "    print(tiny.count_nonzero().item(), torch.get_num_threads())\n"
        "fit.fit = count\n"
        "main(['fit', '--config', 'demo.yaml'])\n"
        "print(float(torch.tensor(1e-39) * 1.0) > 0)\n"
    )
    env = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout == "0 2\nTrue\n"

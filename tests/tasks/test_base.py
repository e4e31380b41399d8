from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight

from emoflow import __version__
from emoflow.corpora import BatchOptions, KEMDy20
from emoflow.data import Protocol
from emoflow.errors import CheckpointError, ConfigError
from emoflow.nets import NetConfig
from emoflow.tasks import ArousalRegressor, EmotionClassifier, ValenceRegressor, load_task
from emoflow.tasks.base import Task, merged
from tests.conftest import ENCODERS

LABELS = ("neutral", "happy", "sad", "angry")
SPLIT = Protocol(name="sessions", folds=5, validation=0.3)
POOLED = {"kind": "attentive_statistics", "width": 8}
NETS: dict[str, Any] = {
    m: {
        "class_path": f"{m.capitalize()}NetConfig",
        "init_args": {"encoder": ENCODERS[m], "attention": {"layers": 0}, "head": POOLED},
    }
    for m in ("speech", "text")
} | {
    "merged": {
        "class_path": "MergedNetConfig",
        "init_args": {
            **{m: {"encoder": ENCODERS[m], "attention": {"layers": 0}} for m in ("speech", "text")},
            "fusion": "concatenated",
            "head": POOLED,
        },
    }
}


def net(name: str) -> NetConfig:
    return NetConfig.from_plain(NetConfig.complete(NETS[name]))


def corpus(root: Path, utterances: int = 32, **options: Any) -> KEMDy20:
    batch = BatchOptions(max_utterances=utterances)
    return KEMDy20(str(root), **{"protocol": SPLIT, "batch": batch, **options})


def trainer(**options: Any) -> L.Trainer:
    quiet: dict[str, Any] = {
        "accelerator": "cpu",
        "use_distributed_sampler": False,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return L.Trainer(**{**quiet, **options})


def ccc(truth: np.ndarray, found: np.ndarray) -> float:
    joint = 2 * ((truth - truth.mean()) * (found - found.mean())).mean()
    return float(joint / (truth.var() + found.var() + (truth.mean() - found.mean()) ** 2))


@pytest.fixture(scope="module")
def fitted(demo_root: Path) -> tuple[L.Trainer, ValenceRegressor, KEMDy20]:
    """A fit of two epochs by a plain Trainer."""
    torch.manual_seed(0)
    task, data = ValenceRegressor(net=net("text")), corpus(demo_root)
    fit = trainer(max_epochs=2)
    fit.fit(task, data)
    return fit, task, data


@pytest.fixture(scope="module")
def saved(
    fitted: tuple[L.Trainer, Task, KEMDy20], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("saved") / "valence.ckpt"
    fitted[0].save_checkpoint(path)
    return path


# ---- metrics ----------------------------------------------------------------------------


def test_classifier_is_scored_once_over_all_utterances(demo_root: Path) -> None:
    torch.manual_seed(1)
    task = EmotionClassifier(LABELS, net=net("text"))
    scores = []
    for size in (32, 5):
        data = corpus(demo_root, size, ties="drop")
        runner = trainer()
        runner.validate(task, data, verbose=False)
        scores.append({k: float(v) for k, v in runner.callback_metrics.items()})
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    one = task.predictions["text"]
    truth = [LABELS.index(e) for e in data.truth(one["rows"], "emotion")]
    assert one["rows"].tolist() == sorted(one["rows"].tolist())
    found = one["outputs"].argmax(axis=1)
    f1 = f1_score(truth, found, labels=range(4), average="macro", zero_division=0)
    assert scores[1]["val/macro_f1"] == pytest.approx(f1, abs=1e-6)
    assert scores[1]["val/uar"] == pytest.approx(balanced_accuracy_score(truth, found), abs=1e-6)
    assert scores[1]["val/accuracy"] == pytest.approx(np.mean(truth == found), abs=1e-6)
    chosen = one["outputs"][np.arange(len(truth)), truth]
    assert scores[1]["val/loss"] == pytest.approx(-np.log(chosen).mean(), abs=1e-5)


def test_regressor_is_scored_once_over_all_utterances(
    fitted: tuple[L.Trainer, ValenceRegressor, KEMDy20], demo_root: Path
) -> None:
    task = fitted[1]
    scores = []
    for size in (32, 5):
        data = corpus(demo_root, size)
        runner = trainer()
        runner.validate(task, data, verbose=False)
        scores.append({k: float(v) for k, v in runner.callback_metrics.items()})
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    one = task.predictions["text"]
    assert one["rows"].tolist() == data.splits.validation.tolist()
    truth = np.asarray(data.table.column("valence", data.splits.validation))
    rmse = np.sqrt(((truth - one["outputs"]) ** 2).mean())
    assert scores[1]["val/ccc_valence"] == pytest.approx(ccc(truth, one["outputs"]), abs=1e-5)
    assert scores[1]["val/rmse_valence"] == pytest.approx(rmse, abs=1e-5)


def test_a_test_scores_every_subset_of_modalities(demo_root: Path) -> None:
    torch.manual_seed(2)
    task, data = EmotionClassifier(LABELS, net=net("merged")), corpus(demo_root)
    trainer().test(task, data, verbose=False)
    assert list(task.predictions) == ["speech+text", "speech", "text"]
    rows = task.predictions["speech+text"]["rows"]
    (batch,) = data.loader(rows)
    order = np.argsort(batch.rows.numpy())
    task.eval()
    with torch.no_grad():
        for subset in (["speech", "text"], ["speech"], ["text"]):
            alone = task(batch.keep(subset)).numpy()[order]
            found = task.predictions["+".join(subset)]["outputs"]
            np.testing.assert_allclose(found, alone, atol=1e-5)
    assert not np.allclose(
        task.predictions["speech"]["outputs"], task.predictions["text"]["outputs"], atol=1e-3
    )


def test_rows_that_came_twice_count_once() -> None:
    parts = [
        (torch.tensor([7, 3]), torch.tensor([[7.0], [3.0]]), {"valence": torch.tensor([0.7, 0.3])}),
        (torch.tensor([3, 5]), torch.tensor([[3.0], [5.0]]), {"valence": torch.tensor([0.3, 0.5])}),
        (torch.tensor([7]), torch.tensor([[7.0]]), {"valence": torch.tensor([0.7])}),
    ]
    rows, outputs, targets = merged(parts)
    assert rows.tolist() == [3, 5, 7]
    assert outputs.tolist() == [[3.0], [5.0], [7.0]]
    torch.testing.assert_close(targets["valence"], torch.tensor([0.3, 0.5, 0.7]))


# ---- scales from the training split only ------------------------------------------------


def test_a_regressors_scale_is_that_of_the_training_split(
    fitted: tuple[L.Trainer, ValenceRegressor, KEMDy20],
) -> None:
    _, task, data = fitted
    values = np.asarray(data.table.column("valence"))
    train = values[data.splits.train]
    assert float(task.centre) == pytest.approx(train.mean(), abs=1e-5)
    assert float(task.spread) == pytest.approx(train.std(), abs=1e-5)
    assert float(task.centre) != pytest.approx(values.mean(), abs=1e-4)


def test_without_standardising_the_scale_stays_as_it_is(demo_root: Path) -> None:
    task = ValenceRegressor(net=net("text"), standardise=False)
    trainer(max_epochs=1, limit_train_batches=1).fit(task, corpus(demo_root))
    assert (float(task.centre), float(task.spread)) == (0.0, 1.0)


@pytest.mark.parametrize("kind", ["balanced", "sqrt", "none"])
def test_class_weights_come_from_training_counts(demo_root: Path, kind: Any) -> None:
    task = EmotionClassifier(LABELS, net=net("text"), class_weights=kind)
    data = corpus(demo_root, ties="drop")
    trainer(max_epochs=1, limit_train_batches=1, limit_val_batches=0).fit(task, data)
    named = np.asarray(data.table.column("emotion"), dtype=object)[data.splits.train]
    named = named[np.isin(named, LABELS)]
    weights = compute_class_weight("balanced", classes=np.array(LABELS, dtype=object), y=named)
    wanted = {"balanced": weights, "sqrt": np.sqrt(weights), "none": np.ones(4)}[kind]
    np.testing.assert_allclose(task.class_weights.numpy(), wanted, rtol=1e-5)


# ---- checkpoints ------------------------------------------------------------------------


@pytest.mark.parametrize("weights_only", [False, True])
def test_a_plain_trainers_checkpoint_gives_the_same_outputs(
    fitted: tuple[L.Trainer, ValenceRegressor, KEMDy20], tmp_path: Path, weights_only: bool
) -> None:
    runner, task, data = fitted
    path = tmp_path / "valence.ckpt"
    runner.save_checkpoint(path, weights_only=weights_only)
    torch.load(path, weights_only=True)
    (batch,) = data.loader(data.splits.test)
    task.eval()
    with torch.no_grad():
        wanted = task(batch)
        for loaded in (ValenceRegressor.load_from_checkpoint(path), load_task(path)):
            assert type(loaded) is ValenceRegressor
            torch.testing.assert_close(loaded.eval()(batch), wanted)
            assert loaded.tokenizer.encode("안녕", 9) == task.tokenizer.encode("안녕", 9)


def test_predict_gives_rows_and_values_on_the_corpuss_scale(
    fitted: tuple[L.Trainer, ValenceRegressor, KEMDy20], demo_root: Path
) -> None:
    _, task, _ = fitted
    data = corpus(demo_root, 5)
    parts = trainer().predict(task, data)
    rows = torch.cat([part["rows"] for part in parts])
    assert sorted(rows.tolist()) == data.splits.test.tolist()
    assert torch.cat([part["outputs"] for part in parts]).mean() == pytest.approx(3, abs=1.5)


def edited(saved: Path, folder: Path, **changes: Any) -> Path:
    content = torch.load(saved, weights_only=True)
    content["emoflow"] |= changes
    torch.save(content, folder / "edited.ckpt")
    return folder / "edited.ckpt"


def test_another_tasks_checkpoint_is_refused(saved: Path) -> None:
    said = r"valence\.ckpt: holds ValenceRegressor, not ArousalRegressor\n.*ValenceRegressor"
    with pytest.raises(CheckpointError, match=said):
        ArousalRegressor.load_from_checkpoint(saved)


def test_another_tasks_checkpoint_cannot_be_resumed(saved: Path, demo_root: Path) -> None:
    with pytest.raises(CheckpointError, match="holds ValenceRegressor, not ArousalRegressor"):
        trainer(max_epochs=3).fit(
            ArousalRegressor(net=net("text")), corpus(demo_root), ckpt_path=saved, weights_only=True
        )


def test_a_newer_versions_checkpoint_is_refused(saved: Path, tmp_path: Path) -> None:
    path = edited(saved, tmp_path, version="99.1.0")
    said = rf"made by emoflow 99\.1\.0, this is {__version__}\n.*pip install 'emoflow>=99\.1\.0'"
    for load in (load_task, ValenceRegressor.load_from_checkpoint):
        with pytest.raises(CheckpointError, match=said):
            load(path)


def test_a_patch_of_this_version_is_accepted(saved: Path, tmp_path: Path) -> None:
    major, minor, _ = __version__.split(".")
    load_task(edited(saved, tmp_path, version=f"{major}.{minor}.99"))


def test_a_task_that_cannot_be_imported_is_named(saved: Path, tmp_path: Path) -> None:
    path = edited(saved, tmp_path, class_path="nowhere.MyTask")
    with pytest.raises(CheckpointError, match=r"nowhere\.MyTask cannot be imported\n.*package"):
        load_task(path)


def test_broken_and_foreign_checkpoints_are_named(saved: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    torch.save(torch.zeros(2), tmp_path / "tensor.ckpt")
    torch.save({"path": Path("x")}, tmp_path / "code.ckpt")
    for name, said in {
        "cut": r"cut\.ckpt: not a readable checkpoint \(\w+\)\n.*cut off",
        "foreign": r"foreign\.ckpt: not made by an emoflow task\n.*an emoflow run",
        "tensor": r"tensor\.ckpt: not a checkpoint of a task",
        "code": r"code\.ckpt: not a readable checkpoint \(UnpicklingError\)",
        "missing": r"missing\.ckpt: no such checkpoint\n.*run folder",
    }.items():
        for load in (load_task, ValenceRegressor.load_from_checkpoint):
            with pytest.raises(CheckpointError, match=said):
                load(tmp_path / f"{name}.ckpt")


def test_a_net_that_must_be_read_first_says_so() -> None:
    task = ValenceRegressor()  # KoBERT, not read yet
    with pytest.raises(ConfigError, match=r"ValenceRegressor has no net yet\n.*configure_model"):
        task(None)


@pytest.mark.parametrize("labels", [["happy"], ["happy", "happy"], ["sad", "happy", "sad"]])
def test_labels_must_differ(labels: list[str]) -> None:
    with pytest.raises(ConfigError, match="at least two emotions, each of them once"):
        EmotionClassifier(labels, net=net("text"))

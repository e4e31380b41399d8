from __future__ import annotations

import csv
import errno
import os
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from emoflow.errors import StorageError
from emoflow.tasks import AtomicCheckpointIO, BatchSeed, Checkpoint, EarlyStop, History
from emoflow.tasks.callbacks import direction
from tests.tasks.test_base import trainer


class Scripted(L.LightningModule):
    """One weight; its validation scores are given beforehand."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.scores = scores
        self.batches = 0
        self.drawn: list[float] = []

    def training_step(self, batch: Any, batch_index: int) -> torch.Tensor:
        self.batches += 1
        self.drawn.append(float(torch.rand(())))
        loss = (self.weight - batch[0]).square().mean()
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_index: int) -> None:
        self.log("val/uar", self.scores[self.current_epoch])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: Scripted, epochs: int, *callbacks: L.Callback, resumed: Path | None = None) -> Any:
    loader = DataLoader(TensorDataset(torch.ones(4, 1)), batch_size=2)
    keeps = any(isinstance(c, Checkpoint) for c in callbacks)
    runner = trainer(
        max_epochs=epochs,
        callbacks=list(callbacks),
        enable_checkpointing=keeps,
        plugins=[AtomicCheckpointIO()],
    )
    runner.fit(module, loader, loader, ckpt_path=resumed, weights_only=True)
    return runner


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_a_fit_that_had_run_out_of_patience_stops_at_once_when_resumed(tmp_path: Path) -> None:
    scores = [0.5, 0.4, 0.3, *[0.9] * 20]
    first = Scripted(scores)
    runner = fit(first, 20, EarlyStop("val/uar", 2), Checkpoint(tmp_path, "last"))
    assert runner.current_epoch == 3
    again = Scripted(scores)
    runner = fit(again, 20, EarlyStop("val/uar", 2), resumed=tmp_path / "last.ckpt")
    assert again.batches == 0
    assert runner.current_epoch == 3


def test_a_resumed_fit_keeps_the_patience_it_had_left(tmp_path: Path) -> None:
    scores = [0.5, 0.4, 0.3, *[0.9] * 20]
    fit(Scripted(scores), 2, EarlyStop("val/uar", 2), Checkpoint(tmp_path, "last"))
    again = Scripted(scores)
    runner = fit(again, 20, EarlyStop("val/uar", 2), resumed=tmp_path / "last.ckpt")
    assert runner.current_epoch == 3


def test_history_has_one_row_per_epoch_and_continues(tmp_path: Path) -> None:
    scores = [0.1, 0.2, 0.3, 0.4]
    path = tmp_path / "history.csv"
    fit(Scripted(scores), 2, History(path), Checkpoint(tmp_path, "last"))
    assert [row["epoch"] for row in rows(path)] == ["0", "1"]
    before = rows(path)
    path.unlink()
    fit(Scripted(scores), 4, History(path), resumed=tmp_path / "last.ckpt")
    after = rows(path)
    assert after[:2] == before
    assert [float(row["val/uar"]) for row in after] == pytest.approx(scores)
    assert set(after[0]) == {"epoch", "train/loss", "val/uar", "lr"}
    assert float(after[3]["lr"]) == pytest.approx(0.1)


def test_best_and_last_are_kept(tmp_path: Path) -> None:
    best, last = Checkpoint(tmp_path, "best", "val/uar"), Checkpoint(tmp_path, "last")
    assert best.state_key != last.state_key
    fit(Scripted([0.2, 0.9, 0.3]), 3, best, last)
    kept = {path.name: torch.load(path, weights_only=True) for path in tmp_path.glob("*.ckpt")}
    assert {name: content["epoch"] for name, content in kept.items()} == {
        "best.ckpt": 1,
        "last.ckpt": 2,
    }
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".ckpt"] == []


def test_without_a_monitor_best_is_the_last(tmp_path: Path) -> None:
    fit(Scripted([0.2, 0.9, 0.3]), 3, Checkpoint(tmp_path, "best", None))
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["epoch"] == 2


def test_a_resumed_fit_draws_what_it_would_have_drawn(tmp_path: Path) -> None:
    scores = [0.1] * 4
    whole = Scripted(scores)
    torch.manual_seed(1)
    fit(whole, 4, BatchSeed(3))
    fit(Scripted(scores), 2, BatchSeed(3), Checkpoint(tmp_path, "last"))
    torch.manual_seed(2)
    again = Scripted(scores)
    fit(again, 4, BatchSeed(3), resumed=tmp_path / "last.ckpt")
    assert again.drawn == whole.drawn[4:]
    assert len(set(whole.drawn)) == len(whole.drawn)


@pytest.mark.parametrize(
    ("monitor", "where"),
    [("val/loss", "min"), ("val/rmse_arousal", "min"), ("val/ccc_valence", "max"), ("uar", "max")],
)
def test_every_monitor_has_its_direction(monitor: str, where: str) -> None:
    assert direction(monitor) == where
    assert EarlyStop(monitor, 3).mode == where


FULL = [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"),
    RuntimeError("basic_ios::clear: iostream error"),
    RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
]


@pytest.mark.parametrize("error", FULL, ids=["OSError", "position", "stream", "writer"])
def test_a_full_disk_is_named_and_leaves_the_old_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint({"epoch": 1}, path)

    def save(content: Any, place: Any) -> None:
        Path(place).write_bytes(b"half")
        raise error

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(StorageError, match=r"last\.ckpt: could not be .*disk is full\n.*Free some"):
        io.save_checkpoint({"epoch": 2}, path)
    monkeypatch.undo()
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("size", [1, 300_000])
def test_torchs_own_error_of_a_full_disk_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda content, place: save(content, "/dev/full"))
    with pytest.raises(StorageError, match="the disk is full"):
        AtomicCheckpointIO().save_checkpoint({"x": torch.zeros(size)}, tmp_path / "last.ckpt")


def test_an_error_that_is_not_the_disks_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(content: Any, place: Any) -> None:
        raise RuntimeError("cannot pickle this")

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(RuntimeError, match="cannot pickle"):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "last.ckpt")

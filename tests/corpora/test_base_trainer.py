from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from emoflow.corpora.base import BatchOptions
from emoflow.errors import (
    ConfigError,
)
from emoflow.types import Batch
from tests.corpora.toy import ALLOW, Toy, make, needs, seen


class Mean(L.LightningModule):
    """The smallest task: a line through loudness."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Linear(1, 3)
        self.needs = needs()
        self.orders: dict[int, list[list[int]]] = {}
        self.validated: list[int] = []

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        self.orders.setdefault(self.current_epoch, []).append(batch.rows.tolist())
        logits = self.net(batch.waveforms.abs().mean(1, keepdim=True))
        return torch.nn.functional.cross_entropy(logits, batch.emotion_votes)

    def validation_step(self, batch: Batch, index: int) -> None:
        self.validated += batch.rows.tolist()
        self.log("val/loss", batch.waveforms.mean(), batch_size=len(batch))

    def test_step(self, batch: Batch, index: int) -> None:
        self.log("test/loss", batch.waveforms.mean(), batch_size=len(batch))

    def predict_step(self, batch: Batch, index: int) -> torch.Tensor:
        return batch.rows

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder: Path, epochs: int, **options: Any) -> L.Trainer:
    return L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **options,
    )


def new(root: Path, **options: Any) -> Toy:
    return Toy(str(root), protocol=ALLOW, batch=BatchOptions(max_utterances=8), **options)


@pytest.mark.filterwarnings("ignore")
def test_a_plain_trainer_and_a_resumed_fit(shared: Path, tmp_path: Path) -> None:
    whole = Mean()
    corpus = new(shared)
    trainer(tmp_path, 3, num_sanity_val_steps=0).fit(whole, datamodule=corpus)
    assert set(whole.orders) == {0, 1, 2}
    assert whole.orders[0] != whole.orders[1]
    assert len({len(order) for order in whole.orders.values()}) == 1
    every = [sorted(chain(*order)) for order in whole.orders.values()]
    assert every[0] == every[1] == every[2] == sorted(seen(make(shared).train_dataloader()))
    assert len(whole.validated) == 3 * len(set(whole.validated))

    first = Mean()
    begun = trainer(tmp_path, 1, num_sanity_val_steps=0)
    begun.fit(first, datamodule=new(shared))
    begun.save_checkpoint(tmp_path / "one.ckpt")
    second = Mean()
    trainer(tmp_path, 3, num_sanity_val_steps=0).fit(
        second, datamodule=new(shared), ckpt_path=tmp_path / "one.ckpt", weights_only=True
    )
    assert second.orders == {e: whole.orders[e] for e in (1, 2)}
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(value, second.state_dict()[name])

    tested = trainer(tmp_path, 1)
    tested.test(second, datamodule=new(shared), verbose=False)
    predicted = trainer(tmp_path, 1).predict(second, datamodule=new(shared))
    assert sorted(torch.cat(predicted).tolist()) == sorted(seen(make(shared).test_dataloader()))


@pytest.mark.filterwarnings("ignore")
def test_reloading_every_epoch_changes_nothing(shared: Path, tmp_path: Path) -> None:
    orders = []
    for every in (0, 1):
        task = Mean()
        trainer(tmp_path, 2, reload_dataloaders_every_n_epochs=every).fit(
            task, datamodule=new(shared)
        )
        orders.append(task.orders)
    assert orders[0] == orders[1]


def test_a_trainer_that_would_replace_the_batches_is_refused(shared: Path) -> None:
    class Process:
        world_size, current_epoch, lightning_module = 2, 0, None

        class _accelerator_connector:
            use_distributed_sampler = True

    corpus = make(shared)
    corpus.trainer = Process()  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="would replace the corpus's own batches") as caught:
        corpus.setup("fit")
    assert "use_distributed_sampler=False" in caught.value.fix


def test_every_process_reads_its_share(shared: Path) -> None:
    class Process:
        world_size, current_epoch, lightning_module = 2, 0, None

        def __init__(self, rank: int) -> None:
            self.global_rank = rank

    shares = []
    for rank in range(2):
        corpus = make(shared)
        corpus.trainer = Process(rank)  # type: ignore[assignment]
        shares.append([seen(corpus.train_dataloader()), seen(corpus.test_dataloader())])
    alone = make(shared)
    for place, loader in enumerate((alone.train_dataloader(), alone.test_dataloader())):
        assert set(shares[0][place]) | set(shares[1][place]) == set(seen(loader))
    assert not set(shares[0][0]) & set(shares[1][0])

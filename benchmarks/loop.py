"""emoflow's training loop against a bare PyTorch loop with the same net and batches.

    python benchmarks/loop.py

An arousal regressor with the demo's small net (where a loop's own cost weighs most) on a small
generated corpus. emoflow: a Lightning Trainer with the callbacks of `emoflow fit` (batch seeds,
history.csv, early stopping, stores of frozen parts), but without checkpoints, loggers and
progress bars. Bare: forward, backward, clip, step, and the same validation. Both draw the same
random numbers, so their last losses must agree. They take turns two batches at a time (who is
first with a new length pays for preparing its convolutions, so each is first for every other
one). A ratio of 1.05 means that emoflow's loop costs 5 %.
"""

from __future__ import annotations

import argparse
import copy
import logging
import os
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import lightning as L
import torch

from emoflow.corpora import KEMDy20
from emoflow.corpora.base import BatchOptions
from emoflow.data import Protocol
from emoflow.frontends.logmel import LogMelConfig
from emoflow.nets import AttentionConfig, CompactSpeechConfig, HeadConfig, SpeechNetConfig
from emoflow.tasks import ArousalRegressor, BatchSeed, EarlyStop, History, KeepFrozen
from emoflow.tasks.optimisation import Optimisation
from emoflow.testing import write_demo_corpus

SEED, CLIP = 0, 1.0


def make_task() -> ArousalRegressor:
    """Return the demo's first stage."""
    logmel = LogMelConfig(n_fft=512, window=400, hop=256, mels=40)
    encoder = CompactSpeechConfig(logmel, channels=(8, 16, 24, 32), width=64, trim_db=None)
    head = HeadConfig("attentive_statistics", width=32)
    net = SpeechNetConfig(encoder, AttentionConfig(layers=0), head)
    return ArousalRegressor(net, Optimisation(learning_rate=4e-3))


def make_corpus(root: Path) -> KEMDy20:
    """Return the corpus, not yet read."""
    protocol = Protocol(name="sessions", folds=4, validation=0.3, on_overlap="allow")
    return KEMDy20(str(root), protocol, BatchOptions(32, 120.0), on_bad_utterance="skip")


class BareLoop:
    """The same fit by hand."""

    def __init__(self, task: ArousalRegressor, root: Path) -> None:
        self.task, self.corpus = task, make_corpus(root)
        self.loss = 0.0

    def turns(self, epochs: int) -> Iterator[None]:
        """Train, giving way after every batch and at the end of every epoch."""
        task, corpus, net = self.task, self.corpus, self.task.net
        corpus.needs = task.needs
        corpus.prepare_data()
        corpus.setup("fit")
        task.fit_scales(corpus)
        training, validation = corpus.train_dataloader(), corpus.val_dataloader()
        made = task.optimisation.build(
            [(net.parameters(), 1.0)],
            steps=epochs * len(training),
            steps_per_epoch=len(training),
        )
        optimiser, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
        yield
        for epoch in range(epochs):
            training.sampler.set_epoch(epoch)
            net.train()
            total, count = 0.0, 0
            for number, batch in enumerate(training):
                torch.manual_seed(zlib.crc32(f"{SEED} {epoch} {number} 0".encode()))
                loss = task.loss(net(batch), {"arousal": batch.arousal})
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
                optimiser.step()
                schedule.step()
                total, count = total + float(loss.detach()) * len(batch), count + len(batch)
                yield
            net.eval()
            pairs = []
            for batch in validation:
                with torch.inference_mode():
                    pairs.append((net(batch), batch.arousal))
                yield
            with torch.inference_mode():
                outputs, truth = (torch.cat(side) for side in zip(*pairs, strict=True))
                task.loss(outputs, {"arousal": truth})
                task.scores(task.finish(outputs).numpy(), {"arousal": truth.numpy()})
            self.loss = total / count
            yield


class Turns(L.Callback):
    """Lets the bare loop do two batches after every two of emoflow's, and keeps both clocks."""

    def __init__(self, bare: Iterator[None]) -> None:
        self.bare, self.ahead = bare, False
        self.epochs: list[list[float]] = []
        """(emoflow, bare) seconds of every epoch, validation included."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        next(self.bare)
        self.seconds, self.started = [0.0, 0.0], time.perf_counter()

    def take(self, *_: Any) -> None:
        given = time.perf_counter()
        for _turn in range(0 if self.ahead else 2):
            next(self.bare, None)
        self.ahead = not self.ahead
        taken = time.perf_counter()
        self.seconds[0] += given - self.started
        self.seconds[1] += taken - given
        self.started = time.perf_counter()

    on_train_batch_end = on_validation_batch_end = take

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.take()
        self.epochs.append(self.seconds)
        self.seconds = [0.0, 0.0]


def main() -> None:
    """Write the corpus, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="a tiny corpus, three epochs")
    options = parser.parse_args()
    epochs = 3 if options.quick else options.epochs
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("emoflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        os.environ["EMOFLOW_CACHE"] = str(out / "cache")
        sizes = (4, 8) if options.quick else (12, 56)
        root = write_demo_corpus(out / "demo", sessions=sizes[0], utterances_per_speaker=sizes[1])
        torch.manual_seed(SEED)
        task = make_task()
        bare = BareLoop(copy.deepcopy(task), root)
        turns = Turns(bare.turns(epochs))
        trainer = L.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            gradient_clip_val=CLIP,
            callbacks=[
                BatchSeed(SEED),
                History(out / "history.csv"),
                KeepFrozen(),
                EarlyStop(task.monitor, patience=epochs),
                turns,
            ],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            default_root_dir=out,
        )
        trainer.fit(task, datamodule=make_corpus(root))
    measured = turns.epochs[1:]  # the first one warms up
    sides = list(zip(*measured, strict=True))
    losses = float(trainer.callback_metrics["train/loss"]), bare.loss
    for name, seconds, loss in zip(("emoflow", "bare"), sides, losses, strict=True):
        print(f"{name:8} {median(seconds):.3f} s per epoch, last loss {loss:.6f}")
    each = sorted(ours / theirs for ours, theirs in measured)
    ratio = sum(sides[0]) / sum(sides[1])
    print(f"ratio: {ratio:.3f} (epochs {each[0]:.3f} to {each[-1]:.3f})")


if __name__ == "__main__":
    main()

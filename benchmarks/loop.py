"""emoflow's training loop against a bare PyTorch loop with the same net and batches.

    python benchmarks/loop.py

An arousal regressor with the demo's small net (where a loop's own cost weighs most) on a small
generated corpus. emoflow: a Lightning Trainer with the callbacks of `emoflow fit` (batch seeds,
history.csv, early stopping, stores of frozen parts), but without checkpoints, loggers and
progress bars. Bare: forward, backward, clip, step, and the same validation. Both draw the same
random numbers, so their last losses must agree. Seconds per epoch, medians of interleaved
rounds; a ratio of 1.05 means that emoflow's loop costs 5 %.
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


class Clock(L.Callback):
    """Seconds of every epoch, validation included."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.times = [time.perf_counter()]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.times.append(time.perf_counter())


def by_emoflow(task: ArousalRegressor, root: Path, epochs: int, out: Path) -> tuple[list, float]:
    """Return the seconds of each epoch, and the last training loss."""
    clock = Clock()
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        gradient_clip_val=CLIP,
        callbacks=[
            BatchSeed(SEED),
            History(out / "history.csv"),
            KeepFrozen(),
            EarlyStop(task.monitor, patience=epochs),
            clock,
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
    times = [b - a for a, b in zip(clock.times, clock.times[1:], strict=False)]
    return times, float(trainer.callback_metrics["train/loss"])


def by_hand(task: ArousalRegressor, root: Path, epochs: int) -> tuple[list, float]:
    """Return the same of a bare loop."""
    corpus: Any = make_corpus(root)
    corpus.needs = task.needs
    corpus.prepare_data()
    corpus.setup("fit")
    task.fit_scales(corpus)
    training, validation = corpus.train_dataloader(), corpus.val_dataloader()
    net, steps = task.net, epochs * len(training)
    made = task.optimisation.build(
        [(net.parameters(), 1.0)], steps=steps, steps_per_epoch=len(training)
    )
    optimiser, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    times = []
    for epoch in range(epochs):
        started = time.perf_counter()
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
        net.eval()
        with torch.inference_mode():
            pairs = [(net(batch), batch.arousal) for batch in validation]
            outputs, truth = (torch.cat(side) for side in zip(*pairs, strict=True))
            task.loss(outputs, {"arousal": truth})
            task.scores(task.finish(outputs).numpy(), {"arousal": truth.numpy()})
        times.append(time.perf_counter() - started)
    return times, total / count


def main() -> None:
    """Write the corpus, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5, help="per round")
    parser.add_argument("--quick", action="store_true", help="a tiny corpus, two rounds")
    options = parser.parse_args()
    rounds, epochs = (2, 2) if options.quick else (options.rounds, options.epochs)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("emoflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EMOFLOW_CACHE"] = str(Path(folder) / "cache")
        sizes = (4, 8) if options.quick else (12, 56)
        root = write_demo_corpus(
            Path(folder) / "demo", sessions=sizes[0], utterances_per_speaker=sizes[1]
        )
        torch.manual_seed(SEED)
        first = make_task()
        took: dict[str, list[float]] = {"bare": [], "emoflow": []}
        for turn in range(rounds + 1):  # the first one warms up
            results = {}
            for name in ("bare", "emoflow") if turn % 2 else ("emoflow", "bare"):
                task = copy.deepcopy(first)
                if name == "bare":
                    results[name] = by_hand(task, root, epochs)
                else:
                    results[name] = by_emoflow(task, root, epochs, Path(folder))
                if turn:
                    took[name] += results[name][0]
    losses = {name: loss for name, (_, loss) in results.items()}
    for name, seconds in took.items():
        print(f"{name:8} {median(seconds):.3f} s per epoch, last loss {losses[name]:.6f}")
    print(f"ratio: {median(took['emoflow']) / median(took['bare']):.3f}")


if __name__ == "__main__":
    main()

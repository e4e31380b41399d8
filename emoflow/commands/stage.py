"""One stage of a run: fit, test the best checkpoint, leave a run folder behind."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.callbacks import EMAWeightAveraging, WeightAveraging

from emoflow.commands.experiment import Stage
from emoflow.commands.loggers import ConfusionLog, RunConfig, make_logger
from emoflow.commands.machine import fast_precision, write_environment
from emoflow.commands.scoring import best_checkpoint, test_stage
from emoflow.data.paths import atomic_write
from emoflow.errors import ConfigError, ProtocolError
from emoflow.nets import NetConfig
from emoflow.tasks import (
    AtomicCheckpointIO,
    BatchSeed,
    Checkpoint,
    EarlyStop,
    History,
    KeepFrozen,
    Task,
    WarmStart,
    read_checkpoint,
)

__all__ = ["retest_stage", "run_stage", "write_config"]


class ProtocolFile(L.Callback):
    """Writes ``protocol.json`` before the fit; on a resumed one, compares with it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write or compare."""
        corpus: Any = trainer.datamodule  # type: ignore[attr-defined]
        content = corpus.splits.to_json() | {"audit": corpus.audit.lines()}
        if self.path.is_file():
            before = json.loads(self.path.read_text(encoding="utf-8"))["fingerprint"]
            if before != corpus.splits.fingerprint:
                raise ProtocolError(
                    f"{self.path}: the corpus or the protocol has changed since this run began "
                    f"(fingerprint {before[:12]}, now {corpus.splits.fingerprint[:12]})",
                    "restore the corpus, or start a new run",
                )
        elif trainer.is_global_zero:
            atomic_write(self.path, json.dumps(content, ensure_ascii=False, indent=1))


def run_stage(
    stage: Stage,
    folder: Path,
    *,
    warm_start: Mapping[str, str],
    group: str,
    job_type: str,
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """Fit and test one stage in ``folder``; carry on where an earlier process was cut off.

    Parameters
    ----------
    before
        Metrics of the stages before, by name: the last stage's report shows them, too.

    Returns
    -------
    dict
        The content of ``metrics.json``. A finished stage is not run again.
    """
    done = folder / "metrics.json"  # written last
    if done.is_file():
        return dict(json.loads(done.read_text(encoding="utf-8")))
    folder.mkdir(parents=True, exist_ok=True)
    with _log_file(folder / "log.txt"):
        towers = {m: best_checkpoint(path) for m, path in warm_start.items()}
        if towers and stage.net is None:
            stage = replace(stage, net=_with_towers(stage, towers))
        config = stage.config
        L.seed_everything(config.seed, workers=True, verbose=False)
        made = stage.parser.instantiate(config)
        task, corpus = made.task, made.data
        if stage.net is not None:
            L.seed_everything(config.seed, workers=True, verbose=False)
            task = task.with_net(stage.net)
        if config.data.init_args.seed is None:
            corpus.seed = config.seed
        callbacks: list[L.Callback] = [RunConfig(stage.plain())]
        callbacks += _callbacks(config, task, folder, {m: str(p) for m, p in towers.items()})
        trainer = _trainer(stage, folder, callbacks, group, job_type)
        if trainer.is_global_zero:
            write_environment(folder / "environment.json")
        if config.compile and task.net is not None:
            task.net.compile()
        last = folder / "checkpoints" / "last.ckpt"
        resumed = str(last) if last.is_file() else None
        trainer.fit(task, datamodule=corpus, ckpt_path=resumed, weights_only=True)
        trainer.strategy.barrier("fitted")
        # The best checkpoint holds averages; its callback would validate the last ones instead.
        fitted: Any = trainer
        fitted.callbacks = [c for c in fitted.callbacks if not isinstance(c, WeightAveraging)]
        metrics = test_stage(folder, trainer, corpus, config=stage.plain(), before=before)
        for logger in trainer.loggers:
            logger.finalize("success")
        _finish_wandb(trainer)
    return metrics


def retest_stage(stage: Stage, folder: Path, before: Mapping[str, Any]) -> dict[str, Any]:
    """Score a finished stage's best checkpoint again."""
    made = stage.parser.instantiate(stage.config)
    trainer = L.Trainer(
        **_trainer_options(stage),
        logger=False,
        callbacks=[KeepFrozen(stage.config.views)],
        enable_checkpointing=False,
        default_root_dir=folder,
        use_distributed_sampler=False,
    )
    return test_stage(folder, trainer, made.data, config=stage.plain(), before=before)


def _callbacks(
    config: Any, task: Task, folder: Path, towers: Mapping[str, str]
) -> list[L.Callback]:
    monitor = _monitor(config, task)
    callbacks: list[L.Callback] = [
        BatchSeed(config.seed),
        ProtocolFile(folder / "protocol.json"),
        History(folder / "history.csv"),
        ConfusionLog(),
    ]
    if towers:
        callbacks.append(WarmStart(towers, freeze=config.freeze))
    callbacks.append(KeepFrozen(config.views))
    if config.average_weights:
        callbacks.append(EMAWeightAveraging(decay=config.average_weights))
    if monitor is not None and config.patience is not None:
        callbacks.append(EarlyStop(monitor, config.patience))
    checkpoints = folder / "checkpoints"
    best, last = Checkpoint(checkpoints, "best", monitor), Checkpoint(checkpoints, "last")
    return [*callbacks, best, last]


def _monitor(config: Any, task: Task) -> str | None:
    """Return the metric that selects the best epoch; none where nothing validates."""
    if config.data.init_args.protocol.validation == 0:
        if config.monitor is not None:
            raise ConfigError(
                f"monitor is {config.monitor}, but data.protocol.validation is 0",
                "set monitor to null (the last epoch is kept), or hold some training out",
            )
        return None
    return str(config.monitor or task.monitor)


def _trainer_options(stage: Stage) -> dict[str, Any]:
    options: dict[str, Any] = stage.config.trainer.as_dict()
    options["precision"], line = fast_precision(options)
    if line:
        logging.getLogger(__name__).warning(line)
    return options


def _trainer(
    stage: Stage,
    folder: Path,
    callbacks: list[L.Callback],
    group: str,
    job_type: str,
) -> L.Trainer:
    options = _trainer_options(stage)
    if stage.config.data.init_args.protocol.validation == 0:
        options["limit_val_batches"] = 0
    return L.Trainer(
        **options,
        logger=make_logger(stage, folder, group, job_type),
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )


def _with_towers(stage: Stage, towers: Mapping[str, Path]) -> NetConfig:
    """Return the net with the towers' own configs, so that the weights fit whatever was swept."""
    plain = stage.plain()["task"]["init_args"]["net"]
    own = plain["init_args"]
    parts = ["encoder", "attention"]
    if own.get("fusion") == "late":
        parts.append("head")
    for modality, path in towers.items():
        if modality not in own:
            raise ConfigError(
                f"warm_start.{modality}: the task's net has no {modality} tower",
                "use a net with that tower, such as MergedNetConfig",
            )
        net = read_checkpoint(path)["hyper_parameters"]["net"]["init_args"]
        own[modality] = {k: net[k] for k in parts if k in net} or net[modality]
    return NetConfig.from_plain(plain)


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Also write what emoflow and Lightning log, and warnings, to ``path``."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(n) for n in ("emoflow", "lightning.pytorch", "py.warnings")]
    logging.captureWarnings(True)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        logging.captureWarnings(False)
        handler.close()


def _finish_wandb(trainer: L.Trainer) -> None:
    """Close the W&B run: the next stage is a run of its own."""
    from lightning.pytorch.loggers import WandbLogger

    if any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
        import wandb

        wandb.finish()


def write_config(path: Path, content: Mapping[str, Any]) -> None:
    """Write a config that ``emoflow fit --config`` reads back to the same run."""
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)
    atomic_write(path, text)

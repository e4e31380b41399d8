"""One stage of a run: fit, test the best checkpoint, leave a run folder behind."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import yaml
from lightning.pytorch.callbacks import EMAWeightAveraging, WeightAveraging

from emoflow import __version__
from emoflow.commands.experiment import Stage
from emoflow.commands.loggers import ConfusionLog, RunConfig, make_logger
from emoflow.commands.machine import fast_precision, write_environment
from emoflow.data.paths import atomic_path, atomic_write
from emoflow.errors import CheckpointError, ConfigError, ProtocolError
from emoflow.evaluation import evaluate, rater_ceiling, write_report
from emoflow.evaluation.drawing import save_figure
from emoflow.evaluation.plots import confusion_figure
from emoflow.tasks import (
    AtomicCheckpointIO,
    BatchSeed,
    Checkpoint,
    EarlyStop,
    History,
    KeepFrozen,
    Task,
    WarmStart,
    load_task,
    read_checkpoint,
)
from emoflow.tasks.checkpoints import check_note

__all__ = ["best_checkpoint", "run_stage", "test_stage"]


def best_checkpoint(run: str | Path) -> Path:
    """Return the best checkpoint of a run folder, or the path itself if it is a checkpoint.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    path = Path(run)
    found = path if path.is_file() else path / "checkpoints" / "best.ckpt"
    if not found.is_file():
        raise CheckpointError(
            f"{path}: no best checkpoint there", "give a run folder that was fitted, or a .ckpt"
        )
    return found


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
        _take_towers(stage, towers)
        config = stage.config
        L.seed_everything(config.seed, workers=True, verbose=False)
        made = stage.parser.instantiate(config)
        task, corpus = made.task, made.data
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


def test_stage(
    folder: Path,
    trainer: L.Trainer,
    corpus: Any,
    *,
    config: Mapping[str, Any],
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """Score the best checkpoint; write predictions, metrics and report into ``folder``."""
    path = best_checkpoint(folder)
    checkpoint = read_checkpoint(path)
    note = check_note(checkpoint, path=path)
    task = load_task(path)
    frames = []
    if len(corpus.splits.validation):
        loggers, trainer.loggers = trainer.loggers, []  # its epochs have been logged
        trainer.validate(task, datamodule=corpus, verbose=False)
        trainer.loggers = loggers
        frames.append(_predictions(task, corpus, "validation"))
    if corpus.splits.fingerprint != note["protocol"]["fingerprint"]:
        raise ProtocolError(
            f"{path} was trained under another split (fingerprint "
            f"{note['protocol']['fingerprint'][:12]}, this corpus gives "
            f"{corpus.splits.fingerprint[:12]})",
            "test it on the corpus and with the protocol options of its config.yaml",
        )
    trainer.test(task, datamodule=corpus, verbose=False)
    frames.append(_predictions(task, corpus, "test"))
    metrics: dict[str, Any] = {}
    if trainer.is_global_zero:
        predictions = pd.concat(frames, ignore_index=True)
        with atomic_path(folder / "predictions.parquet") as temporary:
            predictions.to_parquet(temporary, index=False)
        epochs = len(pd.read_csv(folder / "history.csv"))
        metrics = _metrics(task, corpus, checkpoint, predictions, config, epochs)
        if before:
            metrics["stages"] = dict(before)
        _write_confusion(folder, metrics, task)
        write_report(folder, metrics)
        text = json.dumps(metrics, ensure_ascii=False, indent=1, allow_nan=False)
        atomic_write(folder / "metrics.json", text + "\n")  # last: it marks the stage as done
    trainer.strategy.barrier("tested")
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


def _take_towers(stage: Stage, towers: Mapping[str, Path]) -> None:
    """Give the net the towers' own configs, so that the weights fit whatever was swept."""
    if not towers:
        return
    plain = stage.plain()
    for modality, path in towers.items():
        if f"task.init_args.net.init_args.{modality}" not in stage.config:
            raise ConfigError(
                f"warm_start.{modality}: the task's net has no {modality} tower",
                "use a net with that tower, such as MergedNetConfig",
            )
        net = read_checkpoint(path)["hyper_parameters"]["net"]["init_args"]
        tower = {k: net[k] for k in ("encoder", "attention") if k in net} or net[modality]
        plain["task"]["init_args"]["net"]["init_args"][modality] = tower
    stage.config = stage.parser.parse_object(plain)


def _predictions(task: Task, corpus: Any, split: str) -> pd.DataFrame:
    """Return a table of the task's last predictions, one row per utterance and subset."""
    frames = []
    for subset, one in task.predictions.items():
        frame: pd.DataFrame = corpus.rows_frame(one["rows"])
        frame.insert(0, "split", split)
        frame.insert(1, "subset", subset)
        outputs = one["outputs"]
        if task.target == "emotion":
            labels = np.asarray(task.labels)
            frame["emotion"] = corpus.truth(one["rows"], "emotion", task.labels)
            frame["predicted"] = labels[outputs.argmax(axis=1)]
            for column, label in enumerate(task.labels):
                frame[f"p_{label}"] = outputs[:, column].astype(np.float64)
        else:
            frame[f"predicted_{task.target}"] = outputs.astype(np.float64)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _metrics(
    task: Task,
    corpus: Any,
    checkpoint: Mapping[str, Any],
    predictions: pd.DataFrame,
    config: Mapping[str, Any],
    epochs: int,
) -> dict[str, Any]:
    training = corpus.training_targets(task.target)
    ceiling = corpus.ceiling(task.target, task.labels)
    source = "what the corpus's generator makes possible"
    if ceiling is None:
        ceiling = _human_ceiling(task, corpus)
        source = "leave one rater out"
    net = task.net
    assert net is not None
    return {
        "experiment": config["experiment"],
        "task": type(task).__name__,
        "version": __version__,
        "protocol": corpus.protocol_summary(),
        "corpus": {
            "name": corpus.name,
            "utterances": len(corpus.table),
            "skipped": [skip._asdict() for skip in corpus.skipped],
            "notes": dict(corpus.notes),
        },
        "warnings": list(corpus.warnings),
        "training": {
            "epochs": epochs,
            "best_epoch": int(checkpoint["epoch"]),
            "monitor": config["monitor"] or task.monitor if len(corpus.splits.validation) else None,
            "utterances": len(training),
            "parameters": sum(p.numel() for p in net.parameters()),
        },
        "splits": {
            split: evaluate(
                predictions[predictions["split"] == split],
                labels=task.labels,
                target=task.target,
                training=training,
                ceiling=ceiling,
                ceiling_source=source,
            )
            for split in dict.fromkeys(predictions["split"])
        },
    }


def _human_ceiling(task: Task, corpus: Any) -> dict[str, float] | None:
    """Return how well one rater agrees with the others on the test split."""
    if not corpus.table.present("raters")[corpus.splits.test].any():
        return None
    raters = (u.raters for u in corpus.table.select(corpus.splits.test))
    known = [one for one in raters if one]
    return rater_ceiling(known, task.target, task.labels) if known else None


def _write_confusion(folder: Path, metrics: Mapping[str, Any], task: Task) -> None:
    if task.target == "emotion":
        first = next(iter(metrics["splits"]["test"]["details"].values()))
        figure = confusion_figure(np.asarray(first["confusion"]), task.labels)
        save_figure(figure, folder / "confusion.png")


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

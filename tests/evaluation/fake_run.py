"""A run folder as a finished three-stage run leaves it, with made-up predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emoflow.evaluation import TrainingLabels, evaluate
from emoflow.evaluation.subsets import subset_difference, subset_rank
from emoflow.types import subset_name

LABELS = ("neutral", "sad", "happy", "surprise", "angry")
_SHARES = (0.62, 0.09, 0.17, 0.05, 0.07)
_PLACES = {
    "neutral": (3.0, 2.8),
    "sad": (2.1, 2.3),
    "happy": (4.1, 3.5),
    "surprise": (3.2, 3.9),
    "angry": (1.8, 4.0),
}  # valence, arousal


def utterances(count: int = 900, speakers: int = 16, seed: int = 0) -> pd.DataFrame:
    """Facts of a test split, one row per utterance."""
    random = np.random.default_rng(seed)
    emotion = random.choice(LABELS, size=count, p=_SHARES)
    place = np.array([_PLACES[e] for e in emotion]) + random.normal(0, 0.35, (count, 2))
    speaker = random.integers(speakers, size=count)
    known: list[str | None] = list(emotion)
    known[5] = known[77] = None  # ties
    return pd.DataFrame(
        {
            "key": [f"kemdy20/Sess{s + 1:02d}_{i:04d}" for i, s in enumerate(speaker)],
            "speaker": [f"Sess{s // 2 + 1:02d}_User{s + 1:03d}" for s in speaker],
            "session": [f"Session{s // 2 + 1:02d}" for s in speaker],
            "sex": np.where(speaker % 3, "female", "male"),
            "age": None,
            "seconds": random.lognormal(1.2, 0.6, count).clip(0.7, 33).round(3),
            "text": "아 친구들도?",
            "emotion": known,
            "arousal": place[:, 1].clip(1, 5).round(1),
            "valence": place[:, 0].clip(1, 5).round(1),
            "agreement": random.choice([0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], size=count),
        }
    )


def classified(facts: pd.DataFrame, skill: float, subset: str, seed: int) -> pd.DataFrame:
    """Facts with the probabilities of a classifier, the better the higher ``skill``."""
    random = np.random.default_rng(seed)
    filled = facts["emotion"].fillna("neutral")
    truth = np.array([LABELS.index(e) for e in filled])
    logits = random.normal(0, 1, (len(facts), len(LABELS)))
    logits += np.log(_SHARES) * 0.6 + skill * np.eye(len(LABELS))[truth]
    shares = np.exp(1.6 * logits)
    shares /= shares.sum(1, keepdims=True)
    frame = facts.copy()
    frame.insert(0, "split", "test")
    frame.insert(1, "subset", subset)
    frame["predicted"] = np.array(LABELS)[shares.argmax(1)]
    for k, label in enumerate(LABELS):
        frame[f"p_{label}"] = shares[:, k]
    return frame


def regressed(facts: pd.DataFrame, target: str, subset: str, seed: int) -> pd.DataFrame:
    """Facts with the values of a regressor."""
    random = np.random.default_rng(seed)
    frame = facts.copy()
    frame.insert(0, "split", "test")
    frame.insert(1, "subset", subset)
    truth = frame[target]
    noise = random.normal(0, 0.4, len(frame))
    frame[f"predicted_{target}"] = truth.mean() + 0.75 * (truth - truth.mean()) + noise
    return frame


def write_run(folder: Path, *, protocol: str = "sessions", stages: bool = True) -> Path:
    """Write a finished run, and its two pretraining stages, into ``folder``."""
    facts = utterances()
    skills = (("speech+text", 2.2), ("speech", 1.7), ("text", 1.1))
    rows = [classified(facts, skill, name, k) for k, (name, skill) in enumerate(skills)]
    counts = TrainingLabels(9000, tuple(9000 * s for s in _SHARES))
    limit = {"macro_f1": 0.83, "uar": 0.85, "accuracy": 0.9, "weighted_f1": 0.9}
    result = evaluate(
        pd.concat(rows), target="emotion", labels=LABELS, training=counts, ceiling=limit
    )
    metrics = _metrics("EmotionClassifier", "val/macro_f1", 1_912_325, protocol, result)
    metrics["experiment"] = "kemdy20"
    metrics["warnings"] = [
        "sentences: 212 test utterances share their words with a training utterance "
        "(네., 그렇죠., 아 진짜?)"
    ]
    inner: dict[str, Any] = {}
    for target, subset in (("arousal", "speech"), ("valence", "text")) if stages else ():
        frame = regressed(facts, target, subset, 9)
        means = TrainingLabels(9400, mean=3.1)
        part = evaluate(frame, target=target, training=means, ceiling={f"ccc_{target}": 0.9})
        inner[target] = _metrics(
            f"{target.title()}Regressor", f"val/ccc_{target}", 612_737, protocol, part
        )
        inner[target]["experiment"] = f"kemdy20-{target}"
        _write(folder / "stages" / target, inner[target], frame, f"val/ccc_{target}")
    if inner:
        metrics["stages"] = inner
    _write(folder, metrics, pd.concat(rows), "val/macro_f1")
    return folder


_WORTH = {"speech": 1.5, "text": 0.9, "signals": 0.4, "face": 1.2}
_AT_BEST = {"speech": 0.72, "text": 0.45, "signals": 0.25, "face": 0.6}


def every_subset(
    facts: pd.DataFrame, modalities: Sequence[str], seed: int = 0, trained: float = 1.0
) -> pd.DataFrame:
    """Predictions of a classifier from every subset; each modality brings evidence of its own.

    ``trained`` weighs the evidence: above 1 a net is better.
    """
    random = np.random.default_rng(seed)
    truth = np.eye(len(LABELS))[[LABELS.index(e) for e in facts["emotion"].fillna("neutral")]]
    evidence = {
        m: trained * _WORTH[m] * truth + random.normal(0, 0.5, truth.shape) for m in modalities
    }
    prior = random.normal(0, 0.6, truth.shape) + 0.6 * np.log(_SHARES)
    names = [
        subset_name(s) for k in range(len(modalities)) for s in combinations(modalities, k + 1)
    ]
    frames = []
    for name in sorted(names, key=subset_rank):
        shares = np.exp(1.5 * (prior + sum(evidence[m] for m in name.split("+"))))
        shares /= shares.sum(1, keepdims=True)
        frame = facts.copy()
        frame.insert(0, "split", "test")
        frame.insert(1, "subset", name)
        frame["predicted"] = np.array(LABELS)[shares.argmax(1)]
        frame[[f"p_{label}" for label in LABELS]] = shares
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def ceilings(modalities: Sequence[str]) -> dict[str, dict[str, float]]:
    """Made-up best scores for every subset: the more is given, the nearer to 1."""
    found = {}
    for k in range(len(modalities)):
        for subset in combinations(modalities, k + 1):
            best = 1 - 0.85 * float(np.prod([1 - _AT_BEST[m] for m in subset]))
            found[subset_name(subset)] = {"macro_f1": best, "uar": best, "accuracy": best}
    return found


def write_subsets_run(
    folder: Path,
    modalities: Sequence[str] = ("speech", "text", "signals"),
    *,
    retrained: bool = True,
) -> Path:
    """Write a finished run over every subset of the modalities, with nets trained on each."""
    facts = utterances()
    rows = every_subset(facts, modalities)
    counts = TrainingLabels(9000, tuple(9000 * s for s in _SHARES))
    task: dict[str, Any] = {"target": "emotion", "labels": LABELS}
    result = evaluate(
        rows, **task, training=counts, ceiling=ceilings(modalities), ceiling_source="known"
    )
    metrics = _metrics("EmotionClassifier", "val/macro_f1", 2_412_325, "sessions", result)
    metrics["experiment"] = "kemdy20-signals"
    if retrained:
        alone = every_subset(facts, modalities, seed=1, trained=1.08)
        scores = evaluate(alone, **task, training=counts)["subsets"]
        proper = list(scores)[1:]
        metrics["retrained"] = {name: scores[name] for name in proper}
        metrics["retrained_difference"] = {
            name: subset_difference(rows, alone, name, **task) for name in proper
        }
    _write(folder, metrics, rows, "val/macro_f1")
    return folder


def _metrics(
    task: str, monitor: str, parameters: int, protocol: str, result: dict[str, Any]
) -> dict[str, Any]:
    skipped = [
        {
            "id": "Sess07_script03_User013M_004",
            "file": "wav/Session07/Sess07_script03_User013M_004.wav",
            "reason": "the file holds no samples",
        },
        {
            "id": "Sess31_script02_User062F_011",
            "file": "wav/Session31/Sess31_script02_User062F_011.wav",
            "reason": "there is no such file",
        },
    ]
    return {
        "experiment": "",
        "task": task,
        "version": "0.1.0",
        "protocol": {
            "name": protocol,
            "fingerprint": "3f9a1c02" * 8,
            "parameters": {"folds": 5, "fold": 0, "validation": 0.15, "seed": 0},
            "counts": {"train": 9111, "validation": 1450, "test": 900, "left_out": 0},
            "left_out": {"utterances": 0, "reason": ""},
            "audit": [
                "speakers: no overlap",
                "sessions: no overlap",
                "audio: no overlap",
                "rows: no overlap",
                "sentences: 212 of 900 test utterances share their words with training",
            ],
        },
        "corpus": {
            "name": "KEMDy20",
            "utterances": 13_462,
            "skipped": skipped,
            "notes": {"disqust read as disgust": 61, "ties": 634, "all-zero speech": 3},
        },
        "warnings": [],
        "training": {
            "epochs": 23,
            "best_epoch": 15,
            "monitor": monitor,
            "utterances": 9111,
            "parameters": parameters,
        },
        "splits": {"test": result},
    }


def _write(folder: Path, metrics: dict[str, Any], rows: pd.DataFrame, monitor: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics, allow_nan=False), "utf-8")
    rows.to_parquet(folder / "predictions.parquet", index=False)
    epochs = np.arange(23)
    random = np.random.default_rng(3)
    pd.DataFrame(
        {
            "epoch": epochs,
            "train/loss": 0.4 + np.exp(-epochs / 6) + random.normal(0, 0.01, 23),
            "val/loss": 0.6 + 0.8 * np.exp(-epochs / 5) + 0.006 * epochs,
            monitor: 0.65 - 0.5 * np.exp(-epochs / 5) + random.normal(0, 0.015, 23),
            "lr": 1e-3 * 0.95**epochs,
        }
    ).to_csv(folder / "history.csv", index=False)
    (folder / "config.yaml").write_text(
        "experiment: kemdy20\ndata:\n  class_path: emoflow.corpora.KEMDy20\n  init_args:\n"
        "    root: <KEMDy20>\n    ties: soft\nseed: 0\n",
        "utf-8",
    )
    environment = {
        "started": "2024-05-04T12:00:00+0900",
        "command": ["emoflow", "fit", "--config", "kemdy20.yaml"],
        "python": "3.11.9",
        "gpu": [],
        "packages": {"emoflow": "0.1.0", "torch": "2.11.0"},
    }
    (folder / "environment.json").write_text(json.dumps(environment), "utf-8")
    (folder / "protocol.json").write_text(
        json.dumps({"name": metrics["protocol"]["name"], "ids": {"train": [], "test": []}})
    )

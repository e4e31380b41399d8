"""Every test has a cache of its own, no network, and one thread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import settings

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# The same examples every time; HYPOTHESIS_PROFILE=default draws new ones.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("EMOFLOW_CACHE")
    os.environ["EMOFLOW_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        os.environ.pop("EMOFLOW_CACHE")
    else:
        os.environ["EMOFLOW_CACHE"] = before


@contextmanager
def without_reports() -> Iterator[None]:
    """Leave out a fit's report, pictures and latency: they take as long as a small fit itself."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("write_report", "save_figure", "latency"):
            patch.setattr(f"emoflow.commands.scoring.{name}", lambda *_: {})
        yield


@pytest.fixture
def no_report() -> Iterator[None]:
    """The fits of a test leave no report; others test that they do."""
    with without_reports():
        yield


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo corpus: 5 sessions, 10 speakers, 120 utterances."""
    from emoflow.testing import write_demo_corpus

    folder = tmp_path_factory.mktemp("demo") / "corpus"
    return write_demo_corpus(folder, sessions=5, utterances_per_speaker=12)


ENCODERS = {
    "speech": {
        "class_path": "CompactSpeechConfig",
        "init_args": {"channels": [4, 6], "width": 12, "logmel": {"mels": 16, "hop": 512}},
    },
    "text": {"class_path": "JamoTextConfig", "init_args": {"width": 12, "layers": 1}},
}


def unimodal(task: str, modality: str) -> dict[str, object]:
    """Return the config of a tiny regressor."""
    net = {
        "class_path": f"{modality.capitalize()}NetConfig",
        "init_args": {
            "encoder": ENCODERS[modality],
            "attention": {"layers": 1, "heads": 2, "feed_forward": 16},
            "head": {"kind": "attentive_statistics", "width": 8},
        },
    }
    return {"task": {"class_path": task, "init_args": {"net": net}}}


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory, demo_root: Path) -> Path:
    """Three stages of tiny nets on the small demo corpus, three epochs each."""
    merged = {
        "class_path": "MergedNetConfig",
        "init_args": {
            "attention": {"layers": 1, "heads": 2, "feed_forward": 16},
            "head": {"kind": "lstm", "width": 8, "layers": 1},
            "modality_dropout": 0.2,
        },
    }
    content = {
        "data": {
            "class_path": "KEMDy20",
            "init_args": {
                "root": str(demo_root),
                "protocol": {"name": "sessions", "folds": 5, "validation": 0.3},
                "batch": {"max_utterances": 16},
            },
        },
        "trainer": {"max_epochs": 2, "enable_progress_bar": False},
        "stages": {
            "arousal": unimodal("ArousalRegressor", "speech"),
            "valence": unimodal("ValenceRegressor", "text"),
            "emotion": {
                "warm_start": {"speech": "arousal", "text": "valence"},
                "task": {
                    "class_path": "EmotionClassifier",
                    "init_args": {"net": merged, "labels": ["neutral", "happy", "sad", "angry"]},
                },
            },
        },
    }
    path = tmp_path_factory.mktemp("configs") / "tiny.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path

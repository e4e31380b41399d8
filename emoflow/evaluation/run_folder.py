"""What a run left behind, read from its folder; a file that is missing is simply absent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoflow.errors import CorpusError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """The files of one run, or of one of its pretraining stages."""

    path: Path
    metrics: Mapping[str, Any]
    """``metrics.json``"""
    protocol: Mapping[str, Any] = field(default_factory=dict)
    """``protocol.json``"""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """``environment.json``"""
    config: str = ""
    """``config.yaml``, as text"""
    history: pd.DataFrame | None = None
    """``history.csv``"""
    predictions: pd.DataFrame | None = None
    """``predictions.parquet``"""
    stages: Mapping[str, RunFolder] = field(default_factory=dict)
    """Pretraining stages by name, in the order of training."""

    @classmethod
    def read(cls, path: str | Path, metrics: Mapping[str, Any] | None = None) -> RunFolder:
        """Read a run folder.

        Parameters
        ----------
        path
            The folder.
        metrics
            Content of ``metrics.json`` where it is not written yet.

        Raises
        ------
        CorpusError
            If the folder has no ``metrics.json``, or a file in it cannot be read.
        """
        path = Path(path)
        if metrics is None:
            metrics = _json(path / "metrics.json")
            if not metrics:
                raise CorpusError(
                    f"{path}: there is no metrics.json, so this is no finished run",
                    "give the folder that `emoflow fit` printed, or finish it with "
                    f"`emoflow fit --resume {path}`",
                )
        inside = path / "stages"
        found = {p.name for p in inside.iterdir() if p.is_dir()} if inside.is_dir() else set()
        recorded = metrics.get("stages") or {}
        stages = {}
        for name in [*recorded, *sorted(found - set(recorded), key=lambda n: _age(inside / n))]:
            own = _json(inside / name / "metrics.json") or recorded.get(name)
            if own:
                stages[name] = cls.read(inside / name, own)
        return cls(
            path,
            metrics,
            protocol=_json(path / "protocol.json"),
            environment=_json(path / "environment.json"),
            config=_text(path / "config.yaml"),
            history=_table(path / "history.csv"),
            predictions=_table(path / "predictions.parquet"),
            stages=stages,
        )

    @property
    def test(self) -> Mapping[str, Any]:
        """The test split's part of the metrics; empty before it was scored."""
        found: Mapping[str, Any] = (self.metrics.get("splits") or {}).get("test") or {}
        return found

    @property
    def protocol_facts(self) -> dict[str, Any]:
        """The protocol as the metrics have it, filled up from ``protocol.json``."""
        own = {k: v for k, v in self.protocol.items() if k not in ("ids", "sha256")}
        return own | dict(self.metrics.get("protocol") or {})

    def test_rows(self, subset: str) -> pd.DataFrame | None:
        """Return the test predictions of a subset of modalities."""
        frame = self.predictions
        if frame is None or "subset" not in frame:
            return None
        if "split" in frame:
            frame = frame[frame["split"] == "test"]
        return frame[frame["subset"] == subset]


def _age(folder: Path) -> tuple[float, str]:
    """Return what sorts stages by when they were finished."""
    file = folder / "metrics.json"
    return (file.stat().st_mtime if file.is_file() else 0.0, folder.name)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise _unreadable(path, error) from error


def _table(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    import pandas as pd

    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except pd.errors.EmptyDataError:
        return None
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CorpusError:
    return CorpusError(
        f"{path}: cannot be read ({error})",
        f"write it again with `emoflow test --run {path.parent}`",
    )

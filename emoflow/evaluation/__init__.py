"""Metrics, intervals, floor and ceiling, plots, and the report of a run.

Names are imported when they are first used, so that importing this package is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoflow.evaluation.ceiling import (
        ceiling_from_ratings,
        ceiling_from_votes,
        rater_ceiling,
    )
    from emoflow.evaluation.drawing import save_figure, to_png
    from emoflow.evaluation.floor import TrainingLabels, label_floor
    from emoflow.evaluation.intervals import Intervals, Score, bootstrap, bootstrap_difference
    from emoflow.evaluation.metrics import (
        better,
        classification_metrics,
        confusion,
        per_class,
        regression_metrics,
        reliability,
    )
    from emoflow.evaluation.plots import (
        confusion_figure,
        curves_figure,
        plane_figure,
        reliability_figure,
        subsets_figure,
        values_figure,
    )
    from emoflow.evaluation.report import write_report
    from emoflow.evaluation.results import evaluate
    from emoflow.evaluation.stateful import (
        ConcordanceCorrelation,
        MacroF1,
        UnweightedAverageRecall,
    )
    from emoflow.evaluation.subsets import subset_difference
    from emoflow.evaluation.tables import result_table, to_text

__all__ = [
    "ConcordanceCorrelation",
    "Intervals",
    "MacroF1",
    "Score",
    "TrainingLabels",
    "UnweightedAverageRecall",
    "better",
    "bootstrap",
    "bootstrap_difference",
    "ceiling_from_ratings",
    "ceiling_from_votes",
    "classification_metrics",
    "confusion",
    "confusion_figure",
    "curves_figure",
    "evaluate",
    "label_floor",
    "per_class",
    "plane_figure",
    "rater_ceiling",
    "regression_metrics",
    "reliability",
    "reliability_figure",
    "result_table",
    "save_figure",
    "subset_difference",
    "subsets_figure",
    "to_png",
    "to_text",
    "values_figure",
    "write_report",
]

_HOMES = {
    "ceiling": ("ceiling_from_ratings", "ceiling_from_votes", "rater_ceiling"),
    "drawing": ("save_figure", "to_png"),
    "floor": ("TrainingLabels", "label_floor"),
    "intervals": ("Intervals", "Score", "bootstrap", "bootstrap_difference"),
    "metrics": (
        "better",
        "classification_metrics",
        "confusion",
        "per_class",
        "regression_metrics",
        "reliability",
    ),
    "plots": (
        "confusion_figure",
        "curves_figure",
        "plane_figure",
        "reliability_figure",
        "subsets_figure",
        "values_figure",
    ),
    "report": ("write_report",),
    "results": ("evaluate",),
    "stateful": ("ConcordanceCorrelation", "MacroF1", "UnweightedAverageRecall"),
    "subsets": ("subset_difference",),
    "tables": ("result_table", "to_text"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'emoflow.evaluation' has no attribute {name!r}")
    return getattr(importlib.import_module(f"emoflow.evaluation.{_HOME[name]}"), name)

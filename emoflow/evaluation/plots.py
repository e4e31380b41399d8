"""Pictures of a run. Each function returns a figure; nothing touches pyplot's global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from emoflow.evaluation.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    QUIET,
    limits,
    look,
    new_figure,
    plain_axes,
    plain_titles,
)
from emoflow.evaluation.tables import SubsetRow

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "Panel",
    "confusion_figure",
    "curves_figure",
    "plane_figure",
    "reliability_figure",
    "subsets_figure",
    "values_figure",
]


class Panel(NamedTuple):
    """One panel of the valence-arousal plane."""

    title: str
    valence: ArrayLike
    """(utterance,)"""
    arousal: ArrayLike
    """(utterance,)"""
    emotion: Sequence[str | None] | None = None
    """(utterance,) which colours the points; ``None`` leaves them in one colour."""


def confusion_figure(
    matrix: ArrayLike,
    labels: Sequence[str],
    parts: Sequence[Literal["counts", "rows"]] = ("counts", "rows"),
    title: str = "",
) -> Figure:
    """Draw a confusion matrix: counts, and shares of each row, side by side.

    Parameters
    ----------
    matrix
        (class, class) counts; rows are the truth.
    labels
        Names of the classes.
    parts
        Which of the two to draw.
    title
        Printed above.
    """
    counts = np.asarray(matrix, np.float64)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = max(3.4, 0.62 * len(labels) + 1.2)
    figure = new_figure(side * len(parts) + 0.3 * (len(parts) - 1), side)
    for k, part in enumerate(parts):
        axes = figure.add_subplot(1, len(parts), k + 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.12)
        for row, column in np.ndindex(*counts.shape):
            share = shares[row, column]
            text = f"{counts[row, column]:.0f}" if part == "counts" else f"{100 * share:.0f}"
            size = 9 if len(labels) <= 8 and len(text) <= 4 else 7
            colour = "white" if share > 0.6 else (INK if counts[row, column] else "#b9c2ca")
            axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title("utterances" if part == "counts" else "% of each true class")
        plain_titles(axes)
    if title:
        figure.suptitle(title, color=INK, fontsize=11, fontweight="bold")
    return figure


def plane_figure(
    panels: Sequence[Panel],
    labels: Sequence[str] = (),
    like: Sequence[Panel] = (),
) -> Figure:
    """Draw utterances on the valence-arousal plane, one panel beside the other.

    Parameters
    ----------
    panels
        They share their axes.
    labels
        Order of the emotions; utterances without one of them, or without a place, are not
        drawn.
    like
        Panels of other figures that the axes shall have room for, too.
    """
    from matplotlib.lines import Line2D

    figure = new_figure(4.3 * len(panels), 4.6)
    seen: list[str] = []
    everyone = [*panels, *like]
    across = limits(np.concatenate([np.asarray(p.valence, np.float64) for p in everyone]))
    along = limits(np.concatenate([np.asarray(p.arousal, np.float64) for p in everyone]))
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), k + 1)
        axes.set(xlim=across, ylim=along)
        valence = np.asarray(panel.valence, np.float64)
        arousal = np.asarray(panel.arousal, np.float64)
        alpha = float(np.clip(12 / np.sqrt(max(len(valence), 1)), 0.15, 0.7))
        if panel.emotion is None:
            axes.scatter(valence, arousal, s=14, color=BLUE, alpha=alpha, linewidths=0)
        else:
            emotion = np.array([e if isinstance(e, str) else "" for e in panel.emotion])
            names = list(labels) or sorted(set(emotion) - {""})
            sizes = {name: int((emotion == name).sum()) for name in names}
            for name in sorted(names, key=lambda n: -sizes[n]):  # rare emotions on top
                here = (emotion == name) & np.isfinite(valence) & np.isfinite(arousal)
                if not here.any():
                    continue
                seen += [name] if name not in seen else []
                colour, marker = look(name, names)
                axes.scatter(
                    valence[here], arousal[here], s=18, color=colour, marker=marker,
                    alpha=alpha, linewidths=0,
                )  # fmt: skip
        axes.set_title(panel.title)
        axes.set_xlabel("valence")
        axes.set_ylabel("arousal")
        plain_axes(axes)
    if seen:
        order = [n for n in labels if n in seen] or seen
        numbered = list(labels) or order
        handles = []
        for name in order:
            colour, marker = look(name, numbered)
            point = Line2D([], [], color=colour, marker=marker, linestyle="", markersize=6)
            point.set_label(name)
            handles.append(point)
        columns = min(len(handles), 3 * len(panels))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def values_figure(truth: ArrayLike, predicted: ArrayLike, target: str) -> Figure:
    """Draw predicted against true values; the dashed line is perfect agreement."""
    t, p = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    known = np.isfinite(t) & np.isfinite(p)
    t, p = t[known], p[known]
    figure = new_figure(4.3, 4.3)
    axes = figure.add_subplot()
    low, high = limits(np.concatenate([t, p]))
    axes.plot([low, high], [low, high], "--", color=QUIET, linewidth=1)
    alpha = float(np.clip(12 / np.sqrt(max(len(t), 1)), 0.12, 0.7))
    axes.scatter(t, p, s=14, color=BLUE, alpha=alpha, linewidths=0)
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=f"true {target}")
    axes.set_ylabel(f"predicted {target}")
    axes.set_aspect("equal")
    plain_axes(axes)
    return figure


def curves_figure(
    history: pd.DataFrame,
    monitor: str | None = None,
    best_epoch: int | None = None,
    parts: Sequence[Literal["loss", "metric"]] = ("loss", "metric"),
) -> Figure | None:
    """Draw loss, and the monitored metric where it is another one, by epoch.

    Parameters
    ----------
    history
        Columns ``epoch``, ``train/loss``, ``val/loss``, ``val/<metric>``; rows of one
        epoch are joined, empty cells are skipped.
    monitor
        Column of the metric that selects the best epoch.
    best_epoch
        Its epoch, marked by a line.
    parts
        Which of the two to draw; one without values is left out.

    Returns
    -------
    Figure or None
        ``None`` if there is nothing to draw.
    """
    from matplotlib.ticker import MaxNLocator

    epochs = history.groupby("epoch", sort=True).first()
    lines = [("train/loss", "training", ORANGE, "o"), ("val/loss", "validation", BLUE, "s")]
    lines = [line for line in lines if line[0] in epochs and epochs[line[0]].notna().any()]
    second = monitor if monitor in epochs and monitor != "val/loss" else None
    panels = [lines] if lines and "loss" in parts else []
    panels += [[(second, "validation", BLUE, "s")]] if second and "metric" in parts else []
    if not panels:
        return None
    figure = new_figure(4.3 * len(panels), 3.2)
    for k, curves in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), k + 1)
        for column, name, colour, marker in curves:
            values = epochs[column].dropna()
            size = 3.5 if len(values) <= 40 else 0
            axes.plot(
                values.index, values, color=colour, label=name, marker=marker, markersize=size,
                linewidth=1.6,
            )  # fmt: skip
        if best_epoch is not None:
            axes.axvline(best_epoch, color=QUIET, linewidth=1, linestyle=":", label="best epoch")
        axes.set_xlabel("epoch")
        axes.set_title("loss" if curves is lines else str(second).removeprefix("val/"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=8)
        plain_axes(axes)
    return figure


def reliability_figure(bins: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw how often the net is right against how sure it is.

    ``bins`` is what :func:`~emoflow.evaluation.metrics.reliability` returns. Points on the
    diagonal are calibrated; below it the net is too sure. Bars count the utterances.
    """
    figure = new_figure(4.3, 4.3)
    grid = figure.add_gridspec(2, 1, height_ratios=(3, 1))
    axes = figure.add_subplot(grid[0])
    axes.plot([0, 1], [0, 1], "--", color=QUIET, linewidth=1)
    confidence = [b["confidence"] for b in bins]
    accuracy = [b["accuracy"] for b in bins]
    total = sum(b["utterances"] for b in bins)
    sizes = [12 + 120 * b["utterances"] / total for b in bins]
    axes.plot(confidence, accuracy, color=BLUE, linewidth=1.2, alpha=0.5)
    axes.scatter(confidence, accuracy, s=sizes, color=BLUE, clip_on=False, zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
    axes.tick_params(labelbottom=False)
    plain_axes(axes)
    below = figure.add_subplot(grid[1], sharex=axes)
    edges = [b["low"] for b in bins]
    widths = [b["high"] - b["low"] for b in bins]
    counts = [b["utterances"] for b in bins]
    below.bar(edges, counts, widths, align="edge", color=BLUE, alpha=0.35, edgecolor="white")
    below.set(xlabel="confidence of the predicted class", ylabel="utterances")
    plain_axes(below)
    return figure


def subsets_figure(rows: Sequence[SubsetRow], title: str, floor: float | None = None) -> Figure:
    """Draw one metric for every subset of modalities, one below the other.

    Filled points with their intervals are the net that may be given every modality; hollow ones
    below them were trained on that subset alone. Green marks are the ceilings, the dashed line is
    the floor.

    Parameters
    ----------
    rows
        From top to bottom.
    title
        Name of the metric.
    floor
        Score of a guess.
    """
    figure = new_figure(6.8, 0.34 * len(rows) + 1.1)
    axes = figure.add_subplot()
    at = np.arange(len(rows), dtype=np.float64)
    retrained = [row.retrained for row in rows]
    apart = (-0.14, 0.2) if any(retrained) else (0.0, 0.0)
    for name, scores, shift, fill in (
        ("one net for all", [row.score for row in rows], apart[0], BLUE),
        ("trained on it alone", retrained, apart[1], "white"),
    ):
        if not any(scores):
            continue
        ends = [[_end(score, end) for end in ("value", "low", "high")] for score in scores]
        values, low, high = np.asarray(ends, np.float64).T
        axes.hlines(at + shift, low, high, color=BLUE, linewidth=1.6, alpha=0.5)
        axes.scatter(
            values, at + shift, s=34, color=fill, edgecolors=BLUE, linewidths=1.3, zorder=3,
            label=name,
        )  # fmt: skip
    ceilings = np.array([np.nan if row.ceiling is None else row.ceiling for row in rows])
    if np.isfinite(ceilings).any():
        half = 0.36 if np.ptp(ceilings[np.isfinite(ceilings)]) else 0.5  # one line if all equal
        axes.vlines(ceilings, at - half, at + half, color=GREEN, linewidth=2.4, label="ceiling")
    if floor is not None:
        axes.axvline(floor, color=QUIET, linewidth=1.2, linestyle="--", label="floor")
    axes.set_yticks(at, [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(title)
    plain_axes(axes)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=8)
    return figure


def _end(score: Mapping[str, float | None] | None, name: str) -> float:
    value = score.get(name) if score else None
    return float("nan") if value is None else value

"""A sweep as a curve and as one page that needs nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emoflow.evaluation import page as html
from emoflow.evaluation.drawing import BLUE, GREEN, INK, ORANGE, new_figure, plain_axes, to_png
from emoflow.evaluation.page import Html
from emoflow.evaluation.sweep import SettingScores, SweepScores, value_text
from emoflow.evaluation.tables import metric_order, metric_title, number
from emoflow.evaluation.wording import counted, of_speakers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curve_figure", "sweep_page"]

_COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9", "#5b3a91", "#8a8f98")
_MARKERS = "osD^vPX*"
_WIDE = 30  # largest over smallest value from which an axis is logarithmic
_LINES = 8  # most lines in one picture


def curve_figure(scores: SweepScores) -> Figure:
    """Draw the monitor against what was swept.

    One or two options with few values: a point per seed and a line through the means, a line per
    value of the second option. More, or a search: a panel per option with every setting's mean.
    """
    moving = _moving(scores)
    lines = {value_text(one.values[moving[1]]) for one in scores.settings} if moving[1:] else {""}
    if len(moving) <= 2 and len(lines) <= _LINES:
        figure = new_figure(6.4, 3.8)
        axes = figure.add_subplot()
        _curves(axes, scores, moving)
        axes.set_ylabel(scores.title)
        return figure
    figure = new_figure(min(10.0, 3.2 * len(moving)), 3.4 * math.ceil(len(moving) / 3))
    panels = figure.subplots(math.ceil(len(moving) / 3), min(3, len(moving)), squeeze=False)
    for k, axes in enumerate(panels.flat):
        if k >= len(moving):
            axes.set_visible(False)
            continue
        _cloud(axes, scores, moving[k])
        if k % 3 == 0:
            axes.set_ylabel(scores.title)
    return figure


def _moving(scores: SweepScores) -> list[str]:
    """Return the options with more than one value; the first one if there is none."""
    found = [
        path
        for path in scores.names
        if len({value_text(one.values[path]) for one in scores.settings}) > 1
    ]
    return found or list(scores.names)[:1]


def _curves(axes: Axes, scores: SweepScores, moving: Sequence[str]) -> None:
    path, second = moving[0], moving[1] if moving[1:] else None
    place = _axis(axes, scores, path)
    groups: dict[str, list[SettingScores]] = {}
    for one in scores.settings:
        name = "" if second is None else f"{scores.names[second]} {value_text(one.values[second])}"
        groups.setdefault(name, []).append(one)
    for k, (name, members) in enumerate(groups.items()):
        colour, marker = _COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)]
        members = sorted(members, key=lambda one: place(one.values[path]))
        whole = [one for one in members if one.mean is not None]
        xs = [place(one.values[path]) for one in whole]
        points = [(place(one.values[path]), v) for one in members for v in one.known]
        if points and any(len(one.trials) > 1 for one in members):
            xy = np.array(points, np.float64)
            axes.scatter(xy[:, 0], xy[:, 1], s=16, color=colour, alpha=0.45, linewidths=0, zorder=3)
        axes.plot(
            xs,
            [np.mean(one.known) for one in whole],
            color=colour,
            marker=marker,
            markersize=6,
            linewidth=1.8,
            label=name,
            zorder=4,
        )
    _ring(axes, scores, path, place)
    plain_axes(axes)
    if second is not None or scores.winner is not None:
        axes.legend(fontsize=8, frameon=False, loc="best")


def _cloud(axes: Axes, scores: SweepScores, path: str) -> None:
    place = _axis(axes, scores, path)
    known = [one for one in scores.settings if one.mean is not None]
    xs, ys = [place(one.values[path]) for one in known], [np.mean(one.known) for one in known]
    axes.scatter(xs, ys, s=26, color=BLUE, alpha=0.7, linewidths=0, zorder=3)
    _ring(axes, scores, path, place)
    plain_axes(axes)


def _ring(axes: Axes, scores: SweepScores, path: str, place: Any) -> None:
    """Mark the setting that was selected."""
    best = scores.winner
    if best is not None:
        axes.scatter(
            [place(best.values[path])],
            [np.mean(best.known)],
            s=150,
            facecolors="none",
            edgecolors=INK,
            linewidths=1.4,
            zorder=5,
            label="selected",
        )


def _axis(axes: Axes, scores: SweepScores, path: str) -> Any:
    """Prepare the horizontal axis; return the function from a value to its place there."""
    from matplotlib.ticker import NullFormatter

    values = [one.values[path] for one in scores.settings]
    axes.set_xlabel(scores.names[path])
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        ends = min(values, default=1), max(values, default=1)
        distinct = sorted(set(values))
        drawn = path in scores.logarithmic
        if drawn or (ends[0] > 0 and ends[1] / ends[0] >= _WIDE):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            pad = 0.06 * (ends[1] - ends[0]) or 0.5
            axes.set_xlim(ends[0] - pad, ends[1] + pad)
        if len(distinct) <= 12 and not drawn:
            axes.set_xticks(distinct, [value_text(v) for v in distinct])
        return float
    names = list(dict.fromkeys(map(value_text, values)))
    axes.set_xticks(range(len(names)), names, rotation=0 if len(names) <= 6 else 30)
    axes.set_xlim(-0.5, len(names) - 0.5)
    return lambda value: float(names.index(value_text(value)))


def sweep_page(
    scores: SweepScores,
    tests: Sequence[Mapping[str, Any]],
    *,
    name: str,
    fingerprint: str,
    earlier: Sequence[str] = (),
    command: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Return the page.

    Parameters
    ----------
    scores
        What was found on the validation split.
    tests
        ``metrics.json`` of the selected setting, one per seed; of no other setting.
    name
        The sweep's.
    fingerprint
        Of the protocol that all trials share.
    earlier
        Names of settings that had been selected, and so tested, before the sweep was extended.
    command
        The command line that does it again.
    notes
        Sentences below the verdict.
    """
    chosen, *others = scores.verdict()
    facts = {
        "stage": scores.stage or None,
        "selected by": f"{scores.monitor}, {'higher' if scores.higher else 'lower'} is better",
        "protocol": fingerprint[:12],
    }
    shown = {key: value for key, value in facts.items() if value is not None}
    numbers = json.dumps(scores.to_plain(), ensure_ascii=False, indent=1, allow_nan=False)
    links = html.download("sweep.json", numbers.encode())
    links += " · " + html.download(
        "sweep.csv", scores.frame().to_csv(index=False).encode("utf-8-sig")
    )
    seen = [
        f"Before this sweep was extended, {listed} had been selected and tested: the test split "
        "was looked at for more than one setting."
        for listed in [" and ".join(earlier)]
        if listed
    ]
    several = any(len(one.trials) > 1 for one in scores.settings)
    under = "Small points: seeds; large ones: their means." if several else ""
    curve = ""
    if scores.winner is not None:
        alt = f"{scores.title} of every setting"
        curve = html.picture(to_png(curve_figure(scores)), alt, under)
    body = [
        f'<header><p class="quiet">emoflow sweep</p><h1>{html.escape(name)}</h1></header>',
        html.section(
            "Selected",
            html.text(chosen, "lead"),
            *(html.text(line) for line in [*others, *notes, *seen]),
            html.facts(shown),
        ),
        html.section("Curve", curve),
        html.section("Every setting, on the validation split", _settings(scores), _errors(scores)),
        html.section("The selected setting, on the test split", *_tests(scores, tests)),
        html.section("Again", f"<pre>{html.escape(command)}</pre>" if command else "", links),
    ]
    return html.page(f"{name} · emoflow sweep", body)


def _settings(scores: SweepScores) -> str:
    header, rows = scores.table()
    best = scores.winner
    shown = [
        [Html(f"<b>{html.escape(cell)}</b>") for cell in row] if one is best else row
        for one, row in zip(scores.settings, rows, strict=True)
    ]
    caption = "± standard deviation over seeds; seconds and epochs are means over seeds"
    return html.table(header, shown, caption=caption, text_columns=len(scores.names))


def _errors(scores: SweepScores) -> str:
    lines = [
        f"{scores.label(one)}, seed {trial.seed}: {trial.error}"
        for one in scores.settings
        for trial in one.trials
        if trial.error
    ]
    return f"<h3>Failed</h3>{html.listing(lines)}" if lines else ""


def _tests(scores: SweepScores, tests: Sequence[Mapping[str, Any]]) -> list[str]:
    if scores.winner is None or not tests:
        return []
    splits = [one["splits"]["test"] for one in tests]
    subset = next(iter(splits[0]["subsets"]))
    found = [split["subsets"][subset] for split in splits]
    seeds = [trial.seed for trial in scores.winner.trials]
    header, rows = ["", *(f"seed {seed}" for seed in seeds), "floor"], []
    if len(seeds) > 1:
        header.insert(1, "mean")
    for metric in metric_order(list(found[0])):
        values = [one[metric]["value"] for one in found]
        row: list[Any] = [metric_title(metric)]
        if len(seeds) > 1:
            row.append("–" if None in values else _mean(values))
        row += [html.score(one[metric]) for one in found]
        rows.append([*row, number(splits[0]["floor"].get(metric))])
    speakers = splits[0]["speakers"]
    words = (
        f"{counted(splits[0]['utterances'], 'utterance')}{of_speakers(speakers)}; below each score "
        f"its 95 % interval over {'speakers' if speakers else 'utterances'}. Scores of other "
        "settings are not shown."
    )
    return [html.text(words), html.table(header, rows)]


def _mean(values: Sequence[float]) -> Html:
    return Html(f"<b>{number(float(np.mean(values)))}</b><small>± {np.std(values, ddof=1):.3f}")

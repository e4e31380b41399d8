"""A run's part on every subset of modalities: what each is worth, what each modality adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emoflow.evaluation import page as html
from emoflow.evaluation import plots
from emoflow.evaluation.drawing import to_png
from emoflow.evaluation.run_folder import RunFolder
from emoflow.evaluation.tables import SubsetRow, metric_title, number, subset_rows
from emoflow.evaluation.wording import listed

__all__ = ["every_subset"]

_GAINS_AT_ONCE = 12


def every_subset(run: RunFolder) -> str:
    """Show scores, ceilings and gains of a run with more than one subset; else nothing."""
    test = run.test
    if len(test.get("subsets") or {}) < 2:
        return ""
    leading, rows = subset_rows(run.metrics)
    floor = (test.get("floor") or {}).get(leading)
    picture = html.picture(
        to_png(plots.subsets_figure(rows, metric_title(leading), floor)),
        f"{metric_title(leading)} of every subset of modalities",
    )
    return (
        html.text(_how_to_read(rows, test))
        + picture
        + _table(rows, leading, floor)
        + _gains(test, leading)
    )


def _how_to_read(rows: Sequence[SubsetRow], test: Mapping[str, Any]) -> str:
    words = "One net, given only some of its modalities; the others count as absent. "
    if any(row.score.get("low") is not None for row in rows):
        words += "In brackets, and as lines in the picture, 95 % intervals. "
    if any(row.retrained for row in rows):
        words += "Beside it a net of the same kind that was trained on that subset alone"
        words += (
            "; the difference is the first minus the second, bold where its interval excludes 0. "
            if any(row.difference for row in rows)
            else ". "
        )
    source = test.get("ceiling_source") or "as given"
    if test.get("ceilings"):
        words += f"Each subset has its own ceiling ({source}). "
    elif any(row.ceiling is not None for row in rows):
        words += f"The ceiling ({source}) is that of all modalities, shown at every subset. "
    return words.rstrip()


def _table(rows: Sequence[SubsetRow], leading: str, floor: float | None) -> str:
    title = metric_title(leading)
    retrained = any(row.retrained for row in rows)
    difference = any(row.difference for row in rows)
    ceiling = any(row.ceiling is not None for row in rows)
    header = ["given", title]
    header += ["trained on it alone"] if retrained else []
    header += ["difference"] if difference else []
    header += ["ceiling", "floor to ceiling"] if ceiling else []
    cells: list[list[Any]] = []
    for row in rows:
        line: list[Any] = [row.name, html.score(row.score)]
        line += [html.score(row.retrained)] if retrained else []
        line += [html.score(row.difference, signed=True)] if difference else []
        if ceiling:
            way = None if row.way is None else f"{100 * row.way:.0f} %"
            line += [number(row.ceiling), way]
        cells.append(line)
    if floor is not None:
        cells.append(["floor", number(floor), *[""] * (len(header) - 2)])
    return html.table(header, cells, limits=int(floor is not None))


def _gains(test: Mapping[str, Any], leading: str) -> str:
    """Return the table of gains; of very many, those to smaller subsets open at a click."""
    gains = test.get("gains") or ()
    unit = (test.get("intervals") or {}).get("resampled", "speakers")
    if not gains:
        return ""
    largest = max(gain["to"].count("+") for gain in gains)
    first = [g for g in gains if len(gains) <= _GAINS_AT_ONCE or g["to"].count("+") == largest]
    rest = [gain for gain in gains if gain not in first]
    words = (
        "The score with a modality minus the score without it, on the same utterances and the "
        f"same resampled {unit}; bold where its interval excludes 0, as one in twenty would by "
        "chance alone."
    )
    if any(leading in (gain.get("ceiling") or {}) for gain in gains):
        words += " “Possible” is the same difference between the ceilings."
    return (
        "<h3>What a modality adds</h3>"
        + html.text(words)
        + _gain_table(first, leading)
        + html.details("To smaller subsets", _gain_table(rest, leading) if rest else "")
    )


def _gain_table(gains: Sequence[Mapping[str, Any]], leading: str) -> str:
    ceiling = any(leading in (gain.get("ceiling") or {}) for gain in gains)
    header = ["modality", "added to", f"gain in {metric_title(leading)}"]
    header += ["possible"] if ceiling else []
    rows = []
    for gain in gains:
        row = [
            gain["modality"],
            listed(gain["to"]),
            html.score(gain["metrics"][leading], signed=True),
        ]
        if ceiling:
            possible = (gain.get("ceiling") or {}).get(leading)
            row.append(
                html.score({"value": possible}, signed=True) if possible is not None else None
            )
        rows.append(row)
    return html.table(header, rows, text_columns=2)

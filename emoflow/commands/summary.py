"""What the terminal shows when a run is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from emoflow.evaluation.detection_page import detector_lines
from emoflow.evaluation.tables import (
    interval_text,
    metric_order,
    metric_title,
    number,
    subset_rows,
)
from emoflow.evaluation.wording import counted, of_speakers

__all__ = ["print_summary"]


def print_summary(folder: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Print each stage's test metrics with floor, ceiling and intervals, and where files are."""
    console = Console(highlight=False)
    for name, metrics in results.items():
        test = metrics["splits"]["test"]
        names = [n for n, v in test["floor"].items() if isinstance(v, (int, float))]
        protocol = metrics["protocol"]
        table = Table(
            title=f"{name or metrics['experiment']}: "
            f"{counted(test['utterances'], 'test utterance')}{of_speakers(test['speakers'])}, "
            f"protocol {protocol['name']} {protocol['fingerprint'][:12]}",
            title_justify="left",
        )
        table.add_column("test")
        if len(test["subsets"]) > 1:
            _fill_subsets(table, metrics, console.width)
        else:
            _fill(table, test, names)
        console.print(table)
        for line in (*_gains(test), *detector_lines(test)):
            console.print(line, markup=False)
        for line in metrics["warnings"]:
            console.print(f"[bold]![/bold] {line}", markup=True)
    console.print(f"\nrun      {folder}")
    for label, file in (
        ("report", "report.html"),
        ("metrics", "metrics.json"),
        ("weights", "checkpoints/best.ckpt"),
    ):
        console.print(f"{label:<8} {folder / file}", soft_wrap=True)


def _fill(table: Table, test: Mapping[str, Any], names: Sequence[str]) -> None:
    """Fill in every metric of one subset with its interval."""
    for metric in names:
        table.add_column(metric, justify="right")
    for subset, scores in test["subsets"].items():
        table.add_row(subset, *(_with_interval(scores[m]) for m in names))
    table.add_row("floor", *(number(test["floor"].get(m)) for m in names), style="dim")
    if test.get("ceiling"):
        table.add_row("ceiling", *(number(test["ceiling"].get(m)) for m in names), style="dim")


def _fill_subsets(table: Table, metrics: Mapping[str, Any], width: int) -> None:
    """Fill in several subsets: all that is known by the leading metric, others that find room."""
    test = metrics["splits"]["test"]
    leading, rows = subset_rows(metrics)
    cells = {row.name: {leading: _with_interval(row.score)} for row in rows}
    for row in rows:
        if any(one.retrained for one in rows):
            cells[row.name]["retrained"] = number(row.retrained["value"]) if row.retrained else ""
        if test.get("ceilings"):
            cells[row.name]["ceiling"] = number(row.ceiling)
    limits = ["floor", *(["ceiling"] if test.get("ceiling") and not test.get("ceilings") else [])]
    cells |= {name: {leading: number(test[name].get(leading))} for name in limits}
    columns = list(cells[rows[0].name])
    sizes = [max(len(c), *(len(one.get(c, "")) for one in cells.values())) for c in columns]
    width -= max(map(len, cells)) + 4 + sum(size + 3 for size in sizes)
    for metric in metric_order(list(test["subsets"][rows[0].name])):
        width -= 0 if metric == leading else max(len(metric), 5) + 3
        if metric == leading or width < 0:
            continue
        columns.append(metric)
        for name, scores in test["subsets"].items():
            cells[name][metric] = number(scores[metric]["value"])
        for name in limits:
            cells[name][metric] = number(test[name].get(metric))
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, values in cells.items():
        table.add_row(
            name, *(values.get(c, "") for c in columns), style="dim" if name in limits else None
        )


def _gains(test: Mapping[str, Any]) -> Iterator[str]:
    """Say what each modality adds to all the others, by the leading metric."""
    subsets = list(test["subsets"])
    for gain in test.get("gains") or ():
        if {gain["modality"], *gain["to"].split("+")} != set(subsets[0].split("+")):
            continue
        leading = metric_order(list(gain["metrics"]))[0]
        verb = "add" if gain["modality"] == "signals" else "adds"
        line = f"{gain['modality']} {verb} {_with_interval(gain['metrics'][leading])} "
        yield line + f"{metric_title(leading)} to {gain['to']}"


def _with_interval(score: Mapping[str, Any]) -> str:
    return f"{number(score['value'])} {interval_text(score)}".strip()

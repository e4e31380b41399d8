"""What the terminal shows when a run is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["print_summary"]


def print_summary(folder: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Print each stage's test metrics with floor, ceiling and intervals, and where files are."""
    console = Console(highlight=False)
    for name, metrics in results.items():
        test = metrics["splits"]["test"]
        names = [n for n, v in test["floor"].items() if isinstance(v, (int, float))]
        protocol = metrics["protocol"]
        table = Table(
            title=f"{name or metrics['experiment']}: {test['utterances']} test utterances of "
            f"{test['speakers']} speakers, protocol {protocol['name']} "
            f"{protocol['fingerprint'][:12]}",
            title_justify="left",
        )
        table.add_column("test")
        for metric in names:
            table.add_column(metric, justify="right")
        for subset, scores in test["subsets"].items():
            table.add_row(subset, *(_with_interval(scores[m]) for m in names))
        table.add_row("floor", *(_number(test["floor"].get(m)) for m in names), style="dim")
        if test.get("ceiling"):
            table.add_row("ceiling", *(_number(test["ceiling"].get(m)) for m in names), style="dim")
        console.print(table)
        for line in metrics["warnings"]:
            console.print(f"[bold]![/bold] {line}", markup=True)
    console.print(f"\nrun      {folder}")
    for label, file in (
        ("report", "report.html"),
        ("metrics", "metrics.json"),
        ("weights", "checkpoints/best.ckpt"),
    ):
        console.print(f"{label:<8} {folder / file}", soft_wrap=True)


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}"


def _with_interval(score: Mapping[str, Any]) -> str:
    text = _number(score["value"])
    if score["low"] is not None:
        text += f" [{score['low']:.3f}, {score['high']:.3f}]"
    return text

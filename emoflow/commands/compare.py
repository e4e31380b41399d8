"""``emoflow compare``: finished runs side by side, on the utterances that they share."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emoflow.commands.fit import take_option
from emoflow.errors import ConfigError

USAGE = """usage: emoflow compare RUN RUN [RUN ...] [options]

Puts runs of one protocol and target side by side, on the test utterances that all of them have:
scores, paired differences with intervals over speakers, whether a difference can be shown at all,
confusion matrices, who is right where, and what differs between the configs. Writes one page that
needs nothing else, and its numbers as JSON beside it. A RUN is a folder that emoflow fit made, or
RUN/stages/STAGE or RUN/subsets/SUBSET in it.

  --baseline RUN         the run that others are held against; default the first
  --split test           or validation
  --subset speech+text   modalities to compare on; default of each run all that it reads
  --out FILE.html        default compare-RUN-RUN.html
"""
_LONGEST = 80  # characters of a default file name
_NAMES = 3


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    words = list(arguments)
    if not words or "-h" in words or "--help" in words:
        print(USAGE)
        return 0
    baseline, words = take_option(words, "baseline")
    split, words = take_option(words, "split")
    subset, words = take_option(words, "subset")
    out, words = take_option(words, "out")
    unknown = [word for word in words if word.startswith("--")]
    if unknown:
        raise ConfigError(f"no option {unknown[0]}", "see emoflow compare --help")

    from emoflow.evaluation.compare import compare
    from emoflow.evaluation.compare_page import check_page, write_comparison

    if out:
        check_page(Path(out))
    found = compare(words, baseline=baseline, split=split or "test", subset=subset)
    path = Path(out) if out else _file([run["name"] for run in found.result["runs"]])
    write_comparison(found, path, shlex.join(["emoflow", "compare", *arguments]))
    _show(found.result)
    print(f"\npage     {path}\nnumbers  {path.with_suffix('.json')}")
    return 0


def _file(names: Sequence[str]) -> Path:
    """Return the default name of the page."""
    safe = ["".join(c if c.isalnum() or c in "-_" else "-" for c in name) for name in names]
    shown = "-".join(safe[:_NAMES])[:_LONGEST].rstrip("-")
    more = f"-and-{len(safe) - _NAMES}-more" if len(safe) > _NAMES else ""
    return Path(f"compare-{shown}{more}.html")


def _show(result: Mapping[str, Any]) -> None:
    """Print scores, verdicts by the leading metric, and what they cannot show."""
    from rich.console import Console
    from rich.table import Table

    from emoflow.evaluation.compare_words import cautions
    from emoflow.evaluation.tables import interval_text, metric_order, number
    from emoflow.evaluation.wording import counted, of_speakers

    console = Console(highlight=False)
    runs = result["runs"]
    metrics = metric_order(list(runs[0]["metrics"]))
    people = of_speakers(result["speakers"])
    table = Table(
        title=f"{counted(result['utterances'], 'utterance')}{people}, {result['split']} split, "
        f"protocol {result['protocol']['name']} {str(result['protocol']['fingerprint'])[:12]}",
        title_justify="left",
    )
    table.add_column("run", overflow="fold")
    for metric in metrics:
        table.add_column(metric, justify="right", no_wrap=True)
    room = max(len(run["name"]) for run in runs) + 4 + 24 * len(metrics)
    for run in runs:
        cells = []
        for metric in metrics:  # in a narrow terminal only the leading metric has its interval
            score = run["metrics"][metric]
            interval = interval_text(score) if metric == metrics[0] or room <= console.width else ""
            cells.append(f"{number(score['value'])} {interval}".strip())
        table.add_row(run["name"], *cells)
    for limit in ("floor", "ceiling"):
        if all(run[limit] == runs[0][limit] for run in runs) and runs[0][limit]:
            values = (number(runs[0][limit].get(metric)) for metric in metrics)
            table.add_row(limit, *values, style="dim")
    console.print(table)
    for pair in result["pairs"]:
        said = pair["metrics"][result["leading"]]["verdict"]
        line = f"{pair['run']} against {pair['against']}: {said}"
        print(textwrap.fill(line, 100, subsequent_indent="  "))
    for caution in cautions(result):
        print(textwrap.fill(f"! {caution}", 100, subsequent_indent="  "))

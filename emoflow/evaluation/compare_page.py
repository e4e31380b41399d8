"""A comparison as one page that needs nothing else, and its numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emoflow.data.paths import atomic_write, check_free
from emoflow.errors import ConfigError
from emoflow.evaluation import compare_pictures as pictures
from emoflow.evaluation import page as html
from emoflow.evaluation.compare import Comparison
from emoflow.evaluation.compare_words import cautions, how_tested, p_text, signed
from emoflow.evaluation.drawing import to_png
from emoflow.evaluation.plots import confusion_figure
from emoflow.evaluation.rows import arrays
from emoflow.evaluation.tables import interval_text, metric_order, metric_title, number
from emoflow.evaluation.wording import (
    SPEAKER_DEPENDENT,
    TARGETS,
    counted,
    explanations,
    listed,
    of_speakers,
)

__all__ = ["check_page", "write_comparison"]

_MARK = '<p class="quiet">emoflow compare</p>'
_JSON_MARK = '"made by": "emoflow compare"'
_CELL = 80  # characters of an option's value


def check_page(path: Path) -> None:
    """Refuse to write over anything but an earlier comparison.

    Raises
    ------
    ConfigError
        If there is something else, or the name does not end in .html.
    """
    if path.suffix != ".html":
        raise ConfigError(f"{path}: the page's name does not end in .html", "give --out FILE.html")
    for file, mark in ((path, _MARK), (path.with_suffix(".json"), _JSON_MARK)):
        check_free(file, mark)


def write_comparison(comparison: Comparison, path: str | Path, command: str = "") -> Path:
    """Write the page, and every number as JSON beside it; the page holds that file, too.

    Parameters
    ----------
    comparison
        What was found.
    path
        A new file that ends in .html, or an earlier comparison's.
    command
        The command line that does it again.

    Raises
    ------
    ConfigError
        As :func:`check_page`.
    StorageError
        If a file cannot be written.
    """
    path = Path(path)
    check_page(path)
    result = comparison.result
    lines = json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False, default=str) + "\n"
    names = [run["name"] for run in result["runs"]]
    title = " against ".join([", ".join(names[1:]), names[0]])
    numbers = html.download(path.with_suffix(".json").name, lines.encode())
    body = [
        _heading(result, title),
        _banners(result),
        html.section("Verdict", _verdict(result)),
        html.section("Scores on the shared utterances", _scores(result)),
        html.section(f"Differences to {result['baseline']}", _differences(result)),
        html.section("Every run against every other", _matrix(result)),
        html.section("Classes", _classes(result)),
        html.section("Who is right about the same utterance", _agreement(result)),
        html.section("Predicted and true values", _values(comparison)),
        html.section("What differs between the runs", _facts(result), _options(result)),
        html.section("How to read this", _reading(result)),
        html.section(
            "Again",
            html.text(command, "quiet") if command else "",
            f"<p>Every number: {numbers}</p>",
        ),
    ]
    atomic_write(path.with_suffix(".json"), lines)
    atomic_write(path, html.page(f"{title} · emoflow compare", body))
    return path


def _heading(result: Mapping[str, Any], title: str) -> str:
    people = of_speakers(result["speakers"])
    mark = str(result["protocol"]["fingerprint"])[:12]
    words = (
        f"{TARGETS[result['target']]} of {counted(result['utterances'], 'utterance')}{people}, the "
        f"{result['split']} split of {result['corpus'] or 'a corpus'} under protocol "
        f"“{result['protocol']['name']}”, fingerprint {mark}."
    )
    return f"<header>{_MARK}<h1>{html.escape(title)}</h1>{html.text(words, 'lead')}</header>"


def _banners(result: Mapping[str, Any]) -> str:
    found = cautions(result)
    red = any(run["protocol"] == "random" for run in result["runs"])
    return (html.banner("red", "speaker-dependent", [SPEAKER_DEPENDENT]) if red else "") + (
        html.banner("amber", "Before reading on", found) if found else ""
    )


def _against_baseline(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [pair for pair in result["pairs"] if pair["against"] == result["baseline"]]


def _said(result: Mapping[str, Any], metric: str) -> list[str]:
    """Return the verdicts on every run against the baseline by one metric."""
    return [
        f"{pair['run']} against {pair['against']}: {pair['metrics'][metric]['verdict']}."
        for pair in _against_baseline(result)
    ]


def _verdict(result: Mapping[str, Any]) -> str:
    leading = result["leading"]
    rest = [name for name in metric_order(list(result["runs"][0]["metrics"])) if name != leading]
    others = [line for name in rest for line in _said(result, name)]
    return (
        "".join(html.text(line, "lead") for line in _said(result, leading))
        + "<h3>By the other metrics</h3>"
        + html.listing(others)
        + html.text(how_tested(result), "quiet")
    )


def _scores(result: Mapping[str, Any]) -> str:
    groups = [
        (run["name"], f"from {listed(run['subset'])}", run["metrics"]) for run in result["runs"]
    ]
    limits = []
    for name in ("floor", "ceiling"):
        found: dict[str, list[str]] = {}
        for run in result["runs"]:
            if run[name]:
                found.setdefault(json.dumps(run[name]), []).append(run["name"])
        for values, names in found.items():
            note = "" if len(names) == len(groups) else f"of {', '.join(names)}"
            limits.append((name, note, json.loads(values)))
    sources = {run["ceiling_source"] for run in result["runs"] if run["ceiling_source"]}
    words = "Floor: what guessing from a run's training labels would score. "
    if sources:
        words += f"Ceiling: {' or '.join(sorted(sources))}, as the run recorded it."
    table = html.score_table(groups, limits, first="run")
    picture = html.picture(
        to_png(pictures.scores_figure(result)),
        f"{metric_title(result['leading'])} of every run",
        "Lines are 95 % intervals. Right: the difference to the baseline on the same draws, blue "
        "where it can be shown.",
    )
    return table + html.text(words, "quiet") + picture


def _differences(result: Mapping[str, Any]) -> str:
    metrics = metric_order(list(result["runs"][0]["metrics"]))
    rows = [
        [pair["run"], *(_difference(pair["metrics"][name]) for name in metrics)]
        for pair in _against_baseline(result)
    ]
    words = (
        "Each run minus the baseline, on the same utterances and draws; of errors (RMSE, ECE) less "
        "than 0 is better. p is corrected for the pairs; bold where a difference can be shown."
    )
    return html.text(words) + html.table(["run", *map(metric_title, metrics)], rows)


def _difference(found: Mapping[str, Any]) -> html.Html:
    value = signed(found["value"])
    shown = f"<b>{value}</b>" if found["better"] else value
    p = (
        ""
        if found["p_holm"] is None
        else f"<small>p {html.escape(p_text(found['p_holm']))}</small>"
    )
    return html.Html(f"{shown}<small>{interval_text(found)}</small>{p}")


def _matrix(result: Mapping[str, Any]) -> str:
    """Show the leading metric of every run minus that of every other; nothing for two runs."""
    names, metric = [run["name"] for run in result["runs"]], result["leading"]
    if len(names) < 3:
        return ""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for pair in result["pairs"]:
        one = pair["metrics"][metric]
        found[pair["run"], pair["against"]] = one
        turned = {"value": -one["value"], "low": None, "high": None}
        if one["low"] is not None:
            turned |= {"low": -one["high"], "high": -one["low"]}
        found[pair["against"], pair["run"]] = {**one, **turned}
    rows = [
        [one, *("" if one == two else _difference(found[one, two]) for two in names)]
        for one in names
    ]
    words = f"{metric_title(metric)} of the run in the row minus that of the run in the column."
    return html.text(words) + html.table(["", *names], rows)


def _classes(result: Mapping[str, Any]) -> str:
    runs, labels = result["runs"], result["labels"]
    if not labels:
        return ""
    base = runs[0]
    rows = []
    for label in labels:
        recalls = [run["per_class"][label]["recall"] for run in runs]
        cells: list[Any] = [label, base["per_class"][label]["support"], number(recalls[0])]
        for value in recalls[1:]:
            away = signed(value - recalls[0])
            cells.append(html.Html(f"{number(value)}<small>{away}</small>"))
        rows.append(cells)
    table = html.table(
        ["emotion", "utterances", *(run["name"] for run in runs)],
        rows,
        caption="Recall, the share of each emotion that is found; below, more or less than the "
        "baseline.",
    )
    if "confusion" not in base:
        return table
    matrices = [
        html.picture(
            to_png(confusion_figure(run["confusion"], labels, ("rows",))),
            f"Confusion matrix of {run['name']}, per cent of each row",
            run["name"],
        )
        for run in runs
    ]
    changes = [
        html.picture(
            to_png(pictures.difference_figure(run["confusion"], base["confusion"], labels)),
            f"Confusion matrix of {run['name']} minus that of {base['name']}, in points",
            f"{run['name']} minus {base['name']}",
        )
        for run in runs[1:]
    ]
    return table + html.pictures(*matrices) + html.pictures(*changes)


def _agreement(result: Mapping[str, Any]) -> str:
    pairs = [pair for pair in result["pairs"] if "agreement" in pair]
    rows = []
    for pair in pairs:
        found = pair["agreement"]
        rows.append([f"{pair['run']} and {pair['against']}", *found.values()])
    header = ["runs", "both right", "only the first", "only the second", "both wrong"]
    header += ["of them differently"]
    return html.table(header, rows) if rows else ""


def _values(comparison: Comparison) -> str:
    result = comparison.result
    if result["labels"]:
        return ""
    target = result["target"]
    read = [arrays(side.rows, target, ()) for side in comparison.sides]
    figures = pictures.values_figures(read[0][0], [one for _, one in read], target)
    return html.pictures(
        *(
            html.picture(to_png(figure), f"Predicted against true {target}, {name}", name)
            for figure, name in zip(figures, (side.name for side in comparison.sides), strict=True)
        )
    ) + html.text("On the dashed line a prediction is right.", "quiet")


def _facts(result: Mapping[str, Any]) -> str:
    runs = result["runs"]
    kinds: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "task": lambda run: run["task"],
        "given": lambda run: listed(run["subset"]),
        "parameters": lambda run: run["training"].get("parameters"),
        "training utterances": lambda run: run["training"].get("utterances"),
        "epochs": lambda run: run["training"].get("epochs"),
        "best epoch": lambda run: run["training"].get("best_epoch"),
        "selected by": lambda run: run["training"].get("monitor"),
        "utterances scored": lambda run: run["utterances"],
        "of them not shared": lambda run: run["alone"],
        "emoflow": lambda run: run["version"],
        "folder": lambda run: run["folder"],
    }
    rows = [[name, *(read(run) for run in runs)] for name, read in kinds.items()]
    return html.table(["", *(run["name"] for run in runs)], rows, text_columns=len(runs) + 1)


def _options(result: Mapping[str, Any]) -> str:
    """Return the options that differ; those that only some runs have open at a click."""
    names = [run["name"] for run in result["runs"]]
    if not result["config"]:
        return html.text("Their configs do not differ.")
    header, tables = ["option", *names], []
    for everywhere in (True, False):
        rows = [
            [key, *(_cell(values, name) for name in names)]
            for key, values in result["config"].items()
            if (len(values) == len(names)) == everywhere
        ]
        tables.append(html.table(header, rows, text_columns=len(header)) if rows else "")
    some = html.details("Options that only some of the runs have", tables[1])
    return f"<h3>Options</h3>{tables[0]}{some}"


def _reading(result: Mapping[str, Any]) -> str:
    lines = explanations(result["runs"][0]["metrics"])
    if result["split"] == "test":
        lines.append(
            "choosing: a run that is chosen because it is ahead here was chosen with the test "
            "split, and its score is then a little too good; choose with --split validation"
        )
    return html.listing(lines)


def _cell(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "–"
    value = values[name]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"

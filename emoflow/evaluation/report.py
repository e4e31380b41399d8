"""A run's report: one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from emoflow.data.paths import atomic_write
from emoflow.evaluation import page as html
from emoflow.evaluation import plots
from emoflow.evaluation.detection_page import as_detector
from emoflow.evaluation.drawing import to_png
from emoflow.evaluation.results import main_subset
from emoflow.evaluation.run_folder import RunFolder
from emoflow.evaluation.run_pictures import curves, plane, scatter
from emoflow.evaluation.run_subsets import every_subset
from emoflow.evaluation.tables import metric_order, number
from emoflow.evaluation.wording import (
    PROTOCOLS,
    SPEAKER_DEPENDENT,
    TARGETS,
    counted,
    explanations,
    listed,
    of_speakers,
)

__all__ = ["write_report"]

_GUESSES = {"emotion": "majority class", "emotions": "every emotion, always"}
_SLICES = {"length": "By length", "agreement": "By the share of raters who agree"}


def write_report(run: str | Path, metrics: Mapping[str, Any] | None = None) -> Path:
    """Write ``report.html`` into a run folder, from the files in it, and return its path.

    Parameters
    ----------
    run
        The run folder.
    metrics
        Content of ``metrics.json`` where that file is to be written last.

    Raises
    ------
    CorpusError
        If there is no ``metrics.json``, or a file cannot be read.
    StorageError
        If the page cannot be written.
    """
    folder = RunFolder.read(run, metrics)
    path = folder.path / "report.html"
    title = f"{folder.metrics.get('experiment', folder.path.name)} · emoflow report"
    atomic_write(path, html.page(title, _body(folder)))
    return path


def _body(run: RunFolder) -> list[str]:
    return [
        _heading(run),
        _banners(run),
        html.section("Result on the test split", _result(run)),
        html.section("As a detector", as_detector(run)),
        html.section("Every subset of modalities", _subsets(run)),
        html.section("Classes", _classes(run)),
        html.section("Valence and arousal", plane(run)),
        html.section("Calibration", _calibration(run)),
        html.section("Where it works, and where not", _slices(run)),
        html.section("Training", _training(run)),
        *(_stage(name, stage) for name, stage in run.stages.items()),
        html.section("Corpus and protocol", _protocol(run)),
        html.section("Skipped and noted", _skipped(run)),
        html.section("How to read this", _reading(run)),
        html.section("To do it again", _again(run)),
    ]


# ---- the sections -----------------------------------------------------------------------


def _heading(run: RunFolder) -> str:
    metrics, test, protocol = run.metrics, run.test, run.protocol_facts
    corpus = metrics.get("corpus") or {}
    training = metrics.get("training") or {}
    what = TARGETS.get(str(test.get("target")), metrics.get("task", "a task"))
    source = listed(main_subset(list(test["subsets"]))) if test else ""
    words = f"{what}{f' from {source}' if source else ''}"
    if corpus.get("name"):
        words += f", trained on {counted(training.get('utterances'), 'utterance')}"
        words += f" of {corpus['name']}"
    if test:
        words += f" and tested on {counted(test['utterances'], 'utterance')}"
        words += of_speakers(test.get("speakers"))
    name = str(protocol.get("name", ""))
    mark = str(protocol.get("fingerprint", ""))[:12]
    under = f"Protocol “{name}”" + (f", fingerprint {mark}" if mark else "") + ". "
    return (
        f'<header><p class="quiet">emoflow report</p>'
        f"<h1>{html.escape(str(metrics.get('experiment', run.path.name)))}</h1>"
        f"{html.text(words + '.', 'lead')}"
        f"{html.text(under + PROTOCOLS.get(name, ''), 'quiet') if name else ''}</header>"
    )


def _banners(run: RunFolder) -> str:
    found = []
    everyone = [run, *run.stages.values()]
    if any(one.protocol_facts.get("name") == "random" for one in everyone):
        found.append(
            html.banner(
                "red",
                "speaker-dependent",
                [SPEAKER_DEPENDENT],
            )
        )
    warnings: list[str] = []
    for one in everyone:
        warnings += [str(w) for w in one.metrics.get("warnings") or () if str(w) not in warnings]
    if warnings:
        found.append(html.banner("amber", counted(len(warnings), "warning"), warnings))
    return "".join(found)


def _result(run: RunFolder) -> str:
    test = run.test
    if not test:
        return html.text("The test split has not been scored yet.")
    subset = main_subset(list(test["subsets"]))
    scores, floor, ceiling = test["subsets"][subset], test.get("floor"), test.get("ceiling")
    leading = metric_order(list(scores))[: 3 if test.get("labels") else 2]
    return html.cards(scores, floor or {}, ceiling or {}, leading) + _scores(test, [subset])


def _subsets(run: RunFolder) -> str:
    """Return the part on subsets; empty where there is one."""
    found = every_subset(run)
    return found + html.details("Every metric of every subset", _scores(run.test)) if found else ""


def _scores(test: Mapping[str, Any], names: Sequence[str] | None = None) -> str:
    """Return the table of subsets (all by default), floor and ceiling."""
    details = test.get("details") or {}
    groups = []
    for name in names or test["subsets"]:
        scores = test["subsets"][name]
        count = (details.get(name) or {}).get("utterances")
        groups.append((name, counted(count, "utterance") if count is not None else "", scores))
    limits = []
    if test.get("floor"):
        guess = _GUESSES.get(str(test.get("target")), "training mean")
        limits.append(("floor", guess, test["floor"]))
    if test.get("ceiling"):
        source = str(test.get("ceiling_source", ""))
        source += ", all modalities" if len(groups) > 1 else ""
        limits.append(("ceiling", source, test["ceiling"]))
    table = html.score_table(groups, limits, first="given")
    left = test.get("unlabelled")
    note = f"{counted(left, 'utterance')} without a usable label left out. " if left else ""
    return table + html.text(note + _intervals(test), "quiet")


def _intervals(test: Mapping[str, Any]) -> str:
    made = test.get("intervals") or {}
    if not made:
        return ""
    unit = str(made["resampled"])
    if made["units"] < 2:
        return f"There are no intervals: they need at least two {unit}."
    sentence = f"In brackets the 95 % interval over {made['units']:,} resampled {unit}."
    if unit == "utterances":
        sentence += " The speakers are not known, so these intervals are likely too narrow."
    return sentence


def _classes(run: RunFolder) -> str:
    test = run.test
    if not test.get("labels"):
        return ""
    subset = main_subset(list(test["subsets"]))
    details, labels = test["details"][subset], list(test["labels"])
    counts = (test.get("training") or {}).get("counts") or {}
    rows = [
        [
            label,
            *(number(details["per_class"][label][m]) for m in ("recall", "precision", "f1")),
            details["per_class"][label]["support"],
            int(counts[label]) if label in counts else None,
        ]
        for label in labels
    ]
    header = ["emotion", "recall", "precision", "F1", "tested", "trained"]
    if "confusion" not in details:
        return html.table(header, rows)
    kinds: tuple[tuple[Literal["counts", "rows"], str], ...] = (
        ("counts", "counts"),
        ("rows", "per cent of each row"),
    )
    figures = [
        html.picture(
            to_png(plots.confusion_figure(details["confusion"], labels, (part,))),
            f"Confusion matrix of {len(labels)} emotions, {caption}",
        )
        for part, caption in kinds
    ]
    others = ""
    if len(test["subsets"]) > 1:
        pictures = [
            html.picture(
                to_png(
                    plots.confusion_figure(test["details"][name]["confusion"], labels, ("rows",))
                ),
                f"Confusion matrix from {name}",
                f"{listed(name)} alone",
            )
            for name in test["subsets"]
            if name != subset
        ]
        each = (
            "every smaller subset"
            if any("+" in n for n in test["subsets"] if n != subset)
            else "each modality alone"
        )
        others = html.details(f"The same for {each}", html.pictures(*pictures))
    return html.table(header, rows) + html.pictures(*figures) + others


def _calibration(run: RunFolder) -> str:
    test = run.test
    subset = main_subset(list(test["subsets"])) if test else ""
    if not test or "reliability" not in test["details"][subset]:
        return ""
    bins = test["details"][subset]["reliability"]
    ece = test["subsets"][subset]["ece"]["value"]
    sure = sum(b["utterances"] * (b["confidence"] - b["accuracy"]) for b in bins)
    sure /= max(sum(b["utterances"] for b in bins), 1)
    verdict = "too sure of itself" if sure > 0 else "not sure enough of itself"
    words = (
        f"When it says how sure it is, it is off by {100 * ece:.1f} points on average (ECE); "
        f"on the whole it is {verdict}, by {100 * abs(sure):.1f} points."
    )
    return html.text(words) + html.picture(
        to_png(plots.reliability_figure(bins)),
        "Share of right predictions against confidence",
        "On the dashed line it is right as often as it says.",
    )


def _slices(run: RunFolder) -> str:
    test, parts = run.test, []
    names = ("uar", "accuracy") if test.get("target") == "emotion" else ()
    for kind, rows in (test.get("slices") or {}).items():
        groups = [(r["name"], _slice_note(r), r["metrics"]) for r in rows]
        metrics = names or metric_order(list(rows[0]["metrics"]))
        table = html.score_table(groups, metrics=metrics, first="utterances")
        parts.append(f"<h3>{_SLICES.get(kind, kind)}</h3>{table}")
    return "".join(parts)


def _slice_note(row: Mapping[str, Any]) -> str:
    speakers = f", {counted(row['speakers'], 'speaker')}" if row.get("speakers") else ""
    return f"{counted(row['utterances'], 'utterance')}{speakers}"


def _training(run: RunFolder) -> str:
    training = run.metrics.get("training") or {}
    pairs = {
        "task": run.metrics.get("task"),
        "training utterances": training.get("utterances"),
        "parameters": training.get("parameters"),
        "epochs": training.get("epochs"),
        "best epoch": training.get("best_epoch"),
        "selected by": training.get("monitor"),
    }
    known = html.facts({k: v for k, v in pairs.items() if v is not None})
    return known + html.pictures(*curves(run), scatter(run))


def _stage(name: str, run: RunFolder) -> str:
    """Return a pretraining stage: its scores, then how it was trained."""
    scores = _scores(run.test) if run.test else html.text("The test split has not been scored yet.")
    return html.section(f"Stage before: {name}", scores, "<h3>Training</h3>" + _training(run))


def _protocol(run: RunFolder) -> str:
    protocol, corpus = run.protocol_facts, run.metrics.get("corpus") or {}
    pairs: dict[str, Any] = {"corpus": corpus.get("name"), "utterances": corpus.get("utterances")}
    pairs |= {"protocol": protocol.get("name"), "fingerprint": protocol.get("fingerprint")}
    left = protocol.get("left_out")
    if isinstance(left, Mapping):
        count, reason = left.get("utterances"), left.get("reason")
        pairs["left out"] = f"{count:,}: {reason}" if count and reason else count
    elif left is not None:
        pairs["left out"] = left
    counts = protocol.get("counts") or {}
    table = ""
    if counts and all(isinstance(v, Mapping) for v in counts.values()):
        names = list(dict.fromkeys(name for v in counts.values() for name in v))
        rows = [[split, *(v.get(name) for name in names)] for split, v in counts.items()]
        table = html.table(["split", *names], rows)
    elif counts:
        rows = [[str(k).replace("_", " "), v] for k, v in counts.items()]
        table = html.table(["split", "utterances"], rows)
    audit = [str(line) for line in protocol.get("audit") or ()]
    notes = [str(line) for line in protocol.get("notes") or ()]
    return (
        html.facts({k: v for k, v in pairs.items() if v is not None})
        + table
        + ("<h3>What the audit found</h3>" + html.listing(audit) if audit else "")
        + html.listing(notes)
        + html.details("Parameters of the protocol", html.facts(protocol.get("parameters") or {}))
    )


def _skipped(run: RunFolder) -> str:
    corpus = run.metrics.get("corpus") or {}
    skipped, notes = list(corpus.get("skipped") or ()), corpus.get("notes") or {}
    words = f"{counted(len(skipped), 'utterance')} skipped."
    if skipped:
        words = f"{counted(len(skipped), 'utterance')} could not be used and were skipped."
    found = html.text(words)
    if skipped:
        limit = 50
        rows = [[s.get("id"), s.get("reason"), s.get("file")] for s in skipped[:limit]]
        found += html.table(["utterance", "why", "file"], rows, text_columns=3)
        if len(skipped) > limit:
            found += html.text(f"and {len(skipped) - limit:,} more, see metrics.json", "quiet")
    if notes:
        rows = [[str(kind).replace("_", " "), count] for kind, count in notes.items()]
        found += "<h3>Oddities of the corpus</h3>" + html.table(["what", "count"], rows)
    return found


def _reading(run: RunFolder) -> str:
    scores = [
        s for one in (run, *run.stages.values()) for s in one.test.get("subsets", {}).values()
    ]
    return html.listing(explanations(name for one in scores for name in one))


def _again(run: RunFolder) -> str:
    version = run.metrics.get("version")
    pre = f"<pre>{html.escape(run.config)}</pre>" if run.config else ""
    return (
        html.facts({"emoflow": version} if version else {})
        + html.details("config.yaml", pre)
        + html.details("Machine and versions", html.facts(run.environment))
    )

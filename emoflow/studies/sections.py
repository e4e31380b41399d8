"""The sections of a corpus's page: each counts one thing, draws it, and leaves its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emoflow.data.protocol import SPLIT_NAMES
from emoflow.evaluation import page as html
from emoflow.evaluation.drawing import to_png
from emoflow.evaluation.plots import Panel, plane_figure
from emoflow.evaluation.wording import counted
from emoflow.studies import pictures
from emoflow.studies.facts import NO_SPLIT, CorpusFacts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Section", "absence", "emotions", "lengths", "place", "recordings", "to_csv"]

_SHOWN = 40  # rows of a table or picture
_TITLES = {"speaker": "By speaker", "session": "By session", "sex": "By sex", "age": "By age"}
_QUANTITIES = {
    "seconds": "duration in seconds",
    "words": "words",
    "characters": "characters without spaces",
    "loudness": "loudness in dB (full scale is 0)",
    "silence": "share of silence",
    "bandwidth": "bandwidth in Hz",
}


@dataclass
class Section:
    """A part of the page."""

    title: str
    parts: list[str] = field(default_factory=list)
    """HTML."""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    """File name without ending to what stands in it."""

    def table(self, name: str, frame: pd.DataFrame, caption: str = "", shown: int = _SHOWN) -> None:
        """Add a table: its first rows on the page, all of it as CSV."""
        self.tables[name] = frame
        self.parts.append(_show(name, frame, caption, shown))

    def folded(
        self, name: str, frame: pd.DataFrame, shown: int = _SHOWN, words: str = "As a table"
    ) -> None:
        """Add a table that opens at a click."""
        self.tables[name] = frame
        self.parts.append(html.details(words, _show(name, frame, "", shown)))

    def picture(self, *figures: tuple[Figure, str]) -> None:
        """Add figures side by side, each with what it shows."""
        self.parts.append(
            html.pictures(*(html.picture(to_png(figure), alt, alt) for figure, alt in figures))
        )

    def to_html(self) -> str:
        """Return the section."""
        return html.section(self.title, *self.parts)


def to_csv(frame: pd.DataFrame) -> bytes:
    """Return a table as a CSV file, UTF-8 with the mark by which spreadsheets know it."""
    return frame.to_csv(index=False).encode("utf-8-sig")


def _show(name: str, frame: pd.DataFrame, caption: str = "", shown: int = _SHOWN) -> str:
    """Return a table's first rows as HTML, and the whole of it as a CSV file in a link."""
    rows = [[_cell(v) for v in row] for row in frame.head(shown).itertuples(index=False)]
    numeric = [frame[c].dtype.kind in "fiu" for c in frame.columns]
    left = next((k for k, number in enumerate(numeric) if number), len(numeric))
    more = f"the first {shown} of {len(frame):,} rows; " if len(frame) > shown else ""
    link = html.download(f"{name}.csv", to_csv(frame))
    below = f'<p class="quiet"><small>{more}{link}</small></p>'
    header = [str(c) for c in frame.columns]
    return html.table(header, rows, caption=caption, text_columns=max(1, left)) + below


def emotions(facts: CorpusFacts) -> Section:
    """Count the emotions, over all and by every grouping."""
    import pandas as pd

    section = Section("Emotions")
    if not facts.labels:
        section.parts.append(html.text("No utterance has an emotion."))
        return section
    several = int((facts.members.sum(axis=1) > 1).sum())
    if several:
        words = f"{counted(several, 'utterance')} have several emotions with equally many votes "
        section.parts.append(html.text(words + "and count for each of them.", "quiet"))
    by_split = count_by(facts, "split")
    total = facts.members.sum(axis=0)
    frame = pd.DataFrame({"emotion": facts.labels, "utterances": total})
    frame["share"] = total / max(1, len(facts.members))
    for split, counts in by_split.items():
        frame[split] = counts
    by_split = by_split or {"all": total}
    sizes = facts.frame["split"].value_counts()
    shares = {s: 100 * n / sizes.get(s, len(facts.frame)) for s, n in by_split.items()}
    section.picture((pictures.label_figure(shares, facts.labels), "Share of each emotion"))
    section.table("emotions", frame, shown=80)
    for name in facts.groupings:
        if name != "split":
            _by_group(section, facts, name)
    return section


def count_by(facts: CorpusFacts, name: str) -> dict[str, NDArray[np.int64]]:
    """Return (label,) utterances per value of a column of ``facts.frame``, commonest first."""
    values = facts.frame[name]
    codes, names = values.factorize()
    counts = np.zeros((len(names), len(facts.labels)), dtype=np.int64)
    np.add.at(counts, codes[codes >= 0], facts.members[codes >= 0])
    found = dict(zip(names, counts, strict=True))
    order = values.value_counts().index.tolist()
    if name == "split":
        order = [split for split in (*SPLIT_NAMES, NO_SPLIT) if split in found]
    return {str(value): found[value] for value in order}


def _by_group(section: Section, facts: CorpusFacts, name: str) -> None:
    import pandas as pd

    counts = count_by(facts, name)
    frame = pd.DataFrame(np.array(list(counts.values())), columns=list(facts.labels))
    frame.insert(0, name, list(counts))
    rows = list(counts)[:_SHOWN]
    shown = np.array([counts[r] for r in rows])
    title = _TITLES.get(name, f"By {name}")
    note = f" The {_SHOWN} largest of {len(counts):,}." if len(counts) > _SHOWN else ""
    section.parts.append(f"<h3>{html.escape(title)}</h3>")
    alt = f"Emotions {title[0].lower()}{title[1:]}, in percent of each row.{note}"
    section.picture((pictures.shares_figure(shown, rows, facts.labels, name), alt))
    section.folded(f"emotions_by_{name}", frame)


def place(facts: CorpusFacts) -> Section:
    """Show arousal and valence, over all and by emotion."""
    section = Section("Arousal and valence")
    frame = facts.frame
    known = [name for name in ("arousal", "valence") if frame[name].notna().any()]
    if not known:
        return section
    if facts.corpus.scale:
        low, high = facts.corpus.scale
        section.parts.append(html.text(f"On a scale from {low:g} to {high:g}.", "quiet"))
    if len(known) == 2:
        emotion = frame["emotion"] if facts.labels else None
        rows = np.flatnonzero((frame["arousal"].notna() & frame["valence"].notna()).to_numpy())
        rows = rows[:: max(1, len(rows) // 20_000)]
        one = frame.iloc[rows]
        panel = Panel(
            f"{len(rows):,} utterances", one["valence"], one["arousal"],
            None if emotion is None else list(emotion.iloc[rows]),
        )  # fmt: skip
        section.picture((plane_figure([panel], facts.labels), "Where the raters put them"))
    _by_emotion(section, facts, known, "arousal_valence")
    return section


def lengths(facts: CorpusFacts) -> Section:
    """Show durations and lengths of texts."""
    section = Section("Length")
    known = [n for n in ("seconds", "words", "characters") if facts.frame[n].notna().any()]
    values = {name: facts.frame[name].to_numpy(float) for name in known}
    figures = []
    for name, found in values.items():
        title = _QUANTITIES[name]
        if np.nanmin(found) == np.nanmax(found):
            section.parts.append(html.text(f"{_upper(title)}: always {np.nanmin(found):g}."))
        else:
            figure = pictures.histogram_figure(found, title, whole=name != "seconds")
            figures.append((figure, _upper(title)))
    section.picture(*figures)
    _by_emotion(section, facts, known, "lengths", boxes=len(facts.labels) > 0)
    return section


def recordings(facts: CorpusFacts) -> Section:
    """Show what gives a recording away, whatever is said in it."""
    section = Section("Recordings")
    known = [n for n in ("loudness", "silence", "bandwidth") if facts.frame[n].notna().any()]
    if not known:
        return section
    rates, counts = np.unique(facts.frame["rate"].dropna().to_numpy(float), return_counts=True)
    said = ", ".join(f"{rate:,.0f} Hz ({n:,})" for rate, n in zip(rates, counts, strict=True))
    section.parts.append(html.text(f"Sampling rates: {said}."))
    _by_emotion(section, facts, known, "recordings")
    return section


def absence(facts: CorpusFacts) -> Section:
    """Count what each utterance lacks."""
    import pandas as pd

    section = Section("What is there, what is absent")
    table = facts.corpus.table
    columns = {
        "speech": "speech_path", "text": "text", "signals": "signals", "face": "face",
        "emotion": "emotion", "votes": "votes", "ratings of single raters": "raters",
        "speaker": "speaker", "session": "session", "sentence": "sentence",
        "sex": "sex", "age": "age",
    }  # fmt: skip
    present = {name: table.present(column) for name, column in columns.items()}
    present |= {n: facts.frame[n].notna().to_numpy() for n in ("arousal", "valence")}
    size = len(table)
    rows = [(name, int(p.sum()), size - int(p.sum()), p.mean()) for name, p in present.items()]
    frame = pd.DataFrame(rows, columns=["what", "present", "absent", "share"])
    section.table("present", frame)
    names = ("speech", "text", "signals", "face")
    stack = np.array([present[n] for n in names]).T
    patterns = ["+".join(n for n, p in zip(names, row, strict=True) if p) for row in stack.tolist()]
    together = pd.Series(patterns).value_counts()
    frame = pd.DataFrame({"modalities": together.index, "utterances": together.to_numpy()})
    section.table("modalities", frame)
    return section


def _by_emotion(
    section: Section, facts: CorpusFacts, names: Sequence[str], table: str, boxes: bool = True
) -> None:
    """Add boxes per emotion, and a table over all, per split and per emotion."""
    import pandas as pd

    groups = {"all": np.ones(len(facts.frame), dtype=bool)}
    split = facts.frame["split"].to_numpy(dtype=object)
    groups |= {s: split == s for s in SPLIT_NAMES if (split == s).any()}
    labels = {label: facts.members[:, k] for k, label in enumerate(facts.labels)}
    rows = []
    for name in names:
        values = facts.frame[name].to_numpy(float)
        for group, chosen in (groups | labels).items():
            rows.append((name, group, *_summary(values[chosen])))
    if boxes and labels:
        figures = []
        for name in names:
            values = facts.frame[name].to_numpy(float)
            title = _QUANTITIES.get(name, name)
            if len(np.unique(np.nanquantile(values, (0.05, 0.95)))) < 2:
                continue
            drawn = {label: values[chosen] for label, chosen in labels.items()}
            figures.append((pictures.boxes_figure(drawn, title), f"{_upper(title)} by emotion"))
        section.picture(*figures)
        section.parts.append(
            html.text("Boxes: quartiles and median; lines from the 5 % to the 95 % point.", "quiet")
        )
    columns = ["quantity", "group", "utterances", "mean", "sd"]
    columns += ["minimum", "5 %", "25 %", "median", "75 %", "95 %", "maximum"]
    section.folded(table, pd.DataFrame(rows, columns=columns), len(names) * (len(groups) + 20))


def _summary(values: NDArray[np.float64]) -> tuple[float, ...]:
    known = values[np.isfinite(values)]
    if not len(known):
        return (0, *([float("nan")] * 9))
    spread = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    points = np.quantile(known, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
    return (len(known), float(known.mean()), spread, *points.tolist())


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]


def _cell(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if np.isnan(value):
            return None
        return round(value) if abs(value) >= 1000 else float(f"{value:.4g}")
    return value

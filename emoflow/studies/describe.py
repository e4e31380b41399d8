"""A corpus as one page: what it holds, how it is split, what may mislead a net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emoflow.corpora import Corpus
from emoflow.data.paths import atomic_write
from emoflow.data.progress import progress
from emoflow.errors import ConfigError
from emoflow.evaluation import page as html
from emoflow.evaluation.wording import PROTOCOLS, counted
from emoflow.studies import contents, raters, sections
from emoflow.studies.facts import CorpusFacts, gather_facts
from emoflow.studies.sections import Section, to_csv

__all__ = ["describe"]


def describe(corpus: Corpus, folder: str | Path) -> Path:
    """Write ``describe.html``, one page that needs nothing else, and ``tables/*.csv``.

    Words and examples are those of training: nobody gets to know the test split from them.

    Parameters
    ----------
    corpus
        Any corpus; a protocol that cannot split it is said on the page.
    folder
        A new or empty folder.

    Raises
    ------
    ConfigError
        If there is something in ``folder``.
    StorageError
        If it cannot be written.
    """
    home = Path(folder)
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise ConfigError(f"{home}: there is something in it", "give a new folder")
    facts = gather_facts(corpus)
    making = progress(_SECTIONS, f"Describing {corpus.name}", total=len(_SECTIONS), unit="section")
    found = [make(facts) for make in making]
    for section in found:
        for name, frame in section.tables.items():
            atomic_write(home / "tables" / f"{_plain(name)}.csv", to_csv(frame))
    body = [
        _heading(facts),
        _banners(facts),
        *(s.to_html() for s in found),
    ]
    page = html.page(f"{corpus.name} · emoflow describe", body)
    atomic_write(home / "describe.html", page)
    return home / "describe.html"


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)


def _heading(facts: CorpusFacts) -> str:
    corpus, frame = facts.corpus, facts.frame
    words = counted(len(frame), "utterance")
    hours = frame["seconds"].sum() / 3600
    if hours:
        words += f", {hours:.2f} hours of speech"
    for name in ("speaker", "session"):
        if frame[name].notna().any():
            words += f", {counted(int(frame[name].nunique()), name)}"
    words += f", {counted(len(facts.labels), 'emotion')}" if facts.labels else ""
    under = ""
    if not facts.refused:
        name, mark = corpus.splits.name, corpus.splits.fingerprint[:12]
        under = f"Protocol “{name}”, fingerprint {mark}. {PROTOCOLS.get(name, '')}"
    return (
        f'<header><p class="quiet">emoflow describe</p><h1>{html.escape(corpus.name)}</h1>'
        f"{html.text(words + '.', 'lead')}{html.text(under, 'quiet') if under else ''}</header>"
    )


def _banners(facts: CorpusFacts) -> str:
    found = ""
    if facts.refused:
        found += html.banner("red", "the protocol cannot split this corpus", [facts.refused])
    loud = [s.line() for s in facts.corpus.shortcuts if s.loud]
    if loud:
        found += html.banner("amber", "a net can take a shortcut", loud)
    return found


def _protocol(facts: CorpusFacts) -> Section:
    """Return splits, audit, shortcuts, oddities and skipped utterances."""
    import pandas as pd

    corpus = facts.corpus
    section = Section("Splits, audit, oddities")
    if not facts.refused:
        section.parts.append(html.text(", ".join(_counts(corpus.splits.counts))))
        section.parts.append(html.listing(corpus.audit.lines()))
    shortcuts = [(s.cue, s.uar, s.floor, s.gain, s.utterances) for s in corpus.shortcuts]
    if shortcuts:
        columns = ["cue alone", "UAR", "floor", "share of the way to 1", "utterances"]
        section.parts.append("<h3>Shortcuts</h3>")
        section.table("shortcuts", pd.DataFrame(shortcuts, columns=columns))
        section.parts.append(html.text(_SHORTCUTS, "quiet"))
    notes = pd.DataFrame(sorted(corpus.notes.items()), columns=["oddity", "count"])
    if len(notes):
        section.parts.append("<h3>Oddities that were survived</h3>")
        section.table("oddities", notes)
    skipped = pd.DataFrame(corpus.skipped, columns=["utterance", "file", "why"])
    section.parts.append(html.text(f"{counted(len(skipped), 'utterance')} left out."))
    if len(skipped):
        section.table("left_out", skipped)
    return section


_SHORTCUTS = (
    "How well a cue alone predicts the emotion, cross-validated over utterances: the mean recall "
    "over the emotions, and the share of the way from guessing to 1 that it is."
)


def _counts(counts: dict[str, Any]) -> list[str]:
    return [f"{name.replace('_', ' ')}: {count:,}" for name, count in counts.items()]


_SECTIONS = (
    sections.emotions,
    sections.place,
    sections.lengths,
    raters.raters,
    sections.recordings,
    sections.absence,
    contents.words,
    contents.duplicates,
    contents.extremes,
    contents.examples,
    _protocol,
)

"""The sections that look inside utterances: words, duplicates, examples to see and hear."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoflow.corpora import Corpus
from emoflow.data.audio import read_speech
from emoflow.errors import AudioError
from emoflow.evaluation import page as html
from emoflow.evaluation.drawing import to_png
from emoflow.studies import pictures
from emoflow.studies.facts import CorpusFacts
from emoflow.studies.sections import Section
from emoflow.studies.words import telling_words
from emoflow.types import SAMPLE_RATE

__all__ = ["duplicates", "examples", "extremes", "words"]

_LONGEST = 6.0  # seconds of an example that are kept
_MOST_EXAMPLES = 24
_GROUPS = 200  # duplicates listed in the table


def words(facts: CorpusFacts, drawn: int = 12) -> Section:
    """Show the most telling words of each emotion, from the training split."""
    import pandas as pd

    section = Section("Telling words")
    texts = facts.corpus.table.column("text")
    rows = np.array([r for r in facts.seen if texts[r]], dtype=np.int64)
    if not len(rows) or not facts.labels:
        return section
    found = telling_words(texts[rows].tolist(), facts.members[rows], facts.labels)
    if not found:
        section.parts.append(html.text("No word tells an emotion from the others clearly."))
        return section
    section.parts.append(html.text(_WORDS + facts.seen_from, "quiet"))
    by_label = {label: [w for w in found if w.label == label] for label in facts.labels}
    shown = {label: some for label, some in by_label.items() if some}
    figures = [
        (
            pictures.words_figure([w.word for w in some], [w.z for w in some], label),
            f"Telling words of {label}",
        )
        for label, some in list(shown.items())[:drawn]
    ]
    section.picture(*figures)
    frame = pd.DataFrame(found, columns=["emotion", "word", "here", "elsewhere", "z"])
    section.folded("words", frame, 600, "All of them as a table")
    return section


_WORDS = (
    "Words whose log-odds in an emotion's texts lie clearly above those in all other texts, with "
    "all texts as the prior. In acted corpora they are the script's, not the speaker's. "
)


def duplicates(facts: CorpusFacts) -> Section:
    """List recordings, sentences and texts that occur more than once."""
    import pandas as pd

    section = Section("Duplicates")
    table = facts.corpus.table
    kinds = {
        "equal recordings": np.array(facts.corpus.heard.hash, dtype=object),
        "equal sentences": table.column("sentence"),
        "equal texts": table.column("text"),
    }
    split = facts.frame["split"].to_numpy(dtype=object)
    totals, groups = [], []
    for kind, values in kinds.items():
        found = _repeated(values)
        apart = sum(len(_splits_of(split, rows)) > 1 for rows in found)
        torn = sum(len(_labels_of(facts, rows)) > 1 for rows in found)
        totals.append((kind, len(found), sum(map(len, found)), torn, apart))
        for rows in found[:_GROUPS]:
            keys = ", ".join(str(facts.frame["key"].iloc[r]) for r in rows[:5])
            more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
            labels = ", ".join(_labels_of(facts, rows))
            groups.append(
                (kind, len(rows), labels, ", ".join(_splits_of(split, rows)), keys + more)
            )
    columns = ["what", "groups", "utterances", "groups with several emotions"]
    section.table(
        "duplicates", pd.DataFrame(totals, columns=[*columns, "groups in several splits"])
    )
    if groups:
        frame = pd.DataFrame(
            groups, columns=["what", "utterances", "emotions", "splits", "for example"]
        )
        section.folded("duplicate_groups", frame, 20, "The largest groups")
    return section


def _repeated(values: NDArray[Any]) -> list[list[int]]:
    """Return the rows of every value that occurs more than once, the largest groups first."""
    rows = defaultdict(list)
    for row, value in enumerate(values):
        if value:
            rows[value].append(row)
    return sorted((r for r in rows.values() if len(r) > 1), key=lambda r: (-len(r), r))


def _splits_of(split: NDArray[Any], rows: Sequence[int]) -> list[str]:
    return sorted({split[r] for r in rows if isinstance(split[r], str)})


def _labels_of(facts: CorpusFacts, rows: Sequence[int]) -> list[str]:
    return [facts.labels[k] for k in np.flatnonzero(facts.members[list(rows)].any(axis=0))]


def extremes(facts: CorpusFacts, most: int = 3) -> Section:
    """List the utterances at both ends of each quantity: often they are mistakes."""
    import pandas as pd

    section = Section("At the ends")
    rows = []
    quantities = {
        "seconds": ("shortest", "longest"), "characters": ("least text", "most text"),
        "loudness": ("quietest", "loudest"), "silence": ("", "most silence"),
        "bandwidth": ("narrowest", "widest"),
    }  # fmt: skip
    for name, ends in quantities.items():
        values = facts.frame[name].to_numpy(float)
        order = np.argsort(values, kind="stable")
        order = order[np.isfinite(values[order])]
        if not len(order) or values[order[0]] == values[order[-1]]:
            continue
        for end, chosen in zip(ends, (order[:most], order[::-1][:most]), strict=True):
            if end:
                rows += [(end, facts.frame["key"].iloc[r], float(values[r])) for r in chosen]
    if rows:
        frame = pd.DataFrame(rows, columns=["what", "utterance", "value"])
        section.folded("extremes", frame, words="The utterances at both ends of each quantity")
    return section


def examples(facts: CorpusFacts) -> Section:
    """Show utterances of every emotion: mel picture, sound, words; from the training split."""
    section = Section("Examples")
    spoken = facts.corpus.table.column("speech_path")
    shown = [
        _example(facts, row, label, spoken[row] is not None)
        for row, label in _chosen(facts, spoken)
    ]
    if not shown:
        return section
    section.parts.append(
        html.text(
            "For each emotion utterances of middling length, those on which raters agree most "
            "where they are known. " + facts.seen_from,
            "quiet",
        )
    )
    section.parts.append(html.pictures(*shown))
    return section


def _chosen(facts: CorpusFacts, spoken: NDArray[Any]) -> list[tuple[int, str]]:
    """Return rows and labels: agreed on, of middling length, by different speakers."""
    each = 2 if len(facts.labels) <= _MOST_EXAMPLES // 2 else 1
    frame = facts.frame[["speaker", "agreement"]].copy()
    frame["size"] = facts.frame["seconds"].fillna(facts.frame["characters"])
    frame["voiced"] = [path is not None for path in spoken]
    frame = frame.iloc[facts.seen]
    found: list[tuple[int, str]] = []
    for k, label in list(enumerate(facts.labels))[:_MOST_EXAMPLES]:
        some = frame[facts.members[facts.seen, k]]
        if some["voiced"].any():
            some = some[some["voiced"]]
        some = some.assign(far=(some["size"] - some["size"].median()).abs())
        some = some.sort_values(["agreement", "far"], ascending=[False, True], kind="stable")
        apart = some.drop_duplicates("speaker").index
        rows = [*apart, *some.index.difference(apart, sort=False)]
        found += [(int(row), label) for row in rows[:each]]
    return found


def _example(facts: CorpusFacts, row: int, label: str, spoken: bool) -> str:
    one = facts.frame.iloc[row]
    who = ", ".join(one[n] for n in ("speaker", "sex", "age") if isinstance(one[n], str))
    text = html.text(one["text"]) if isinstance(one["text"], str) else ""
    under = f"<figcaption>{html.escape(f'{label} · {one.key}')}"
    under += f"<br>{html.escape(who)}</figcaption>" if who else "</figcaption>"
    sound = _sound(facts.corpus, row, f"{label}: {one.key}") if spoken else ""
    return f"<figure>{sound}{under}{text}</figure>"


def _sound(corpus: Corpus, row: int, alt: str) -> str:
    """Return a mel picture and a player, or why there is none."""
    import soundfile
    import torch

    from emoflow.frontends import LogMel, LogMelConfig

    speech = corpus.table[row].speech
    assert speech is not None
    try:
        samples = read_speech(speech)[: int(_LONGEST * SAMPLE_RATE)]
    except AudioError as error:
        return html.text(str(error))
    config = LogMelConfig(n_fft=1024, hop=160, mels=80, delta=False, max_frames=None)
    with torch.inference_mode():
        mels, _ = LogMel(config)(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
    figure = pictures.mel_figure(mels[0, 0].numpy(), len(samples) / SAMPLE_RATE, config.high_hz)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    picture = html.image(to_png(figure, dpi=110), f"Mel spectrogram, {alt}")
    return picture + html.sound(buffer.getvalue())

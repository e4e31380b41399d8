"""The section on raters: how far they agree, where they tie, what they take for what."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emoflow.evaluation import page as html
from emoflow.studies import pictures
from emoflow.studies.agreement import fleiss_kappa, krippendorff_alpha, rating_counts
from emoflow.studies.facts import CorpusFacts
from emoflow.studies.sections import Section

__all__ = ["raters"]

_FINE = 50  # numbers used by raters up to which each counts as a step of its own


def raters(facts: CorpusFacts) -> Section:
    """Say how far raters agree, with ties and a picture of what they take for what."""
    import pandas as pd

    section = Section("Raters")
    ratings = facts.corpus.table.column("raters")
    rows = [_agreement(ratings, name) for name in ("emotion", "arousal", "valence")]
    known = [row for row in rows if row is not None]
    if known:
        columns = ["rating", "utterances", "ratings", "raters per utterance", "unanimous"]
        columns += ["Fleiss kappa", "Krippendorff alpha"]
        frame = pd.DataFrame(known, columns=columns)
        section.table("agreement", frame)
        section.parts.append(html.text(_READING, "quiet"))
    elif facts.frame["agreement"].notna().any():
        section.parts.append(
            html.text("Votes are known, single raters are not: their agreement cannot be told.")
        )
    _ties(section, facts)
    if known and facts.labels:
        _taken_for(section, facts, ratings)
    return section


_READING = (
    "Only utterances with two or more ratings. Kappa and alpha are 1 for full agreement and 0 "
    "for what chance gives; alpha of arousal and valence counts how far apart ratings lie "
    "(interval scale). Unanimous: the share of utterances on which all agree."
)


def _agreement(
    ratings: NDArray[Any], name: Literal["emotion", "arousal", "valence"]
) -> tuple[Any, ...] | None:
    place = {"emotion": 1, "arousal": 2, "valence": 3}[name]
    said = [[r[place] for r in one or () if r[place] is not None] for one in ratings]
    values = sorted({v for one in said for v in one})
    if name != "emotion" and len(values) > _FINE:
        steps = np.linspace(values[0], values[-1], _FINE)
        said = [[float(steps[np.abs(steps - v).argmin()]) for v in one] for one in said]
        values = steps.tolist()
    counts = rating_counts(said, values)
    several = counts[counts.sum(axis=1) >= 2]
    if not len(several):
        return None
    numbers = several.sum(axis=1)
    unanimous = float((several.max(axis=1) == numbers).mean())
    kappa = fleiss_kappa(counts) if name == "emotion" else float("nan")
    alpha = krippendorff_alpha(counts, None if name == "emotion" else values)
    mean = float(numbers.mean())
    return name, len(several), int(numbers.sum()), mean, unanimous, kappa, alpha


def _ties(section: Section, facts: CorpusFacts) -> None:
    import pandas as pd

    tied = np.flatnonzero(facts.members.sum(axis=1) > 1)
    if not len(tied):
        return
    pairs: Counter[str] = Counter()
    for row in tied:
        names = [facts.labels[k] for k in np.flatnonzero(facts.members[row])]
        pairs.update(" + ".join(pair) for pair in combinations(names, 2))
    share = 100 * len(tied) / len(facts.members)
    words = (
        f"{len(tied):,} utterances ({share:.1f} %) have no single commonest emotion. The emotions "
        "that tie, in pairs:"
    )
    section.parts.append(html.text(words))
    frame = pd.DataFrame(pairs.most_common(), columns=["emotions", "utterances"])
    section.table("ties", frame, shown=15)


def _taken_for(section: Section, facts: CorpusFacts, ratings: NDArray[Any]) -> None:
    """Add what single raters said of the utterances of each emotion."""
    import pandas as pd

    said = [[r[1] for r in one or () if r[1] is not None] for one in ratings]
    others = sorted({v for one in said for v in one} - set(facts.labels))
    names = [*facts.labels, *others]
    counts = rating_counts(said, names)
    single = facts.members.sum(axis=1) == 1
    table = np.array(
        [counts[single & facts.members[:, k]].sum(axis=0) for k in range(len(facts.labels))]
    )
    figure = pictures.shares_figure(table, facts.labels, names, "emotion", what="ratings")
    section.picture((figure, "What raters said of the utterances whose commonest emotion is …"))
    frame = pd.DataFrame(table.astype(int), columns=names)
    frame.insert(0, "commonest", list(facts.labels))
    section.folded("ratings_by_emotion", frame)

"""The study of a biosignal before use: which shapes it has, and whether they tell emotion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from emoflow.corpora import Corpus
from emoflow.errors import ConfigError, CorpusError
from emoflow.studies.cluster_relation import Relation, emotion_relation, value_relation
from emoflow.studies.cluster_series import (
    FEWEST_SERIES,
    Scale,
    SeriesSet,
    gather_series,
)
from emoflow.studies.cluster_shapes import (
    Clustering,
    Method,
    Structure,
    best_of,
    clusterings,
    dtw_matrix,
    structure,
)
from emoflow.studies.facts import CorpusFacts, gather_facts

__all__ = ["ClusterOptions", "ClusterStudy", "Labelled", "cluster", "study_series"]

Floats = NDArray[np.float64]

_COMPARED = 200  # series at most that are compared with random walks
_FEWEST_PERMUTATIONS, _FEWEST_WALKS = 99, 19


@dataclass(frozen=True)
class ClusterOptions:
    """How a signal is clustered."""

    signal: str = "EDA"
    clusters: tuple[int, int] = (2, 10)
    """Fewest and most clusters."""
    method: Method = "kmedoids"
    """kmedoids: about series of the corpus; kmeans: about barycentres, much slower."""
    scale: Scale = "minmax"
    """Of each series; none keeps its level."""
    window: float | None = None
    """Seconds that end with the utterance; the utterance itself by default."""
    band: float | None = None
    """Share of a series by which two may be shifted at most; any by default."""
    most: int = 1000
    """Series; of more so many are drawn."""
    permutations: int = 999
    """Of emotions within speakers."""
    walks: int = 39
    """Sets of random walks to compare with."""
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.clusters
        rules = {
            "clusters": (2 <= low <= high <= 50, "give a range such as 2-10, from 2 to 50"),
            "method": (self.method in get_args(Method), "give kmedoids or kmeans"),
            "scale": (self.scale in get_args(Scale), "give minmax, standard or none"),
            "window": (self.window is None or 1 <= self.window <= 3600, "give 1 to 3600 seconds"),
            "band": (self.band is None or 0 < self.band <= 1, "give a share such as 0.1"),
            "most": (FEWEST_SERIES <= self.most <= 20_000, f"give {FEWEST_SERIES} to 20000"),
            "permutations": (
                self.permutations >= _FEWEST_PERMUTATIONS,
                f"give at least {_FEWEST_PERMUTATIONS}: with fewer no p can be as small as .01",
            ),
            "walks": (
                self.walks >= _FEWEST_WALKS,
                f"give at least {_FEWEST_WALKS}: with fewer no p can be as small as .05",
            ),
            "seed": (self.seed >= 0, "give 0 or more"),
        }
        for name, (fits, way_out) in rules.items():
            if not fits:
                value = getattr(self, name)
                shown = f"{low}-{high}" if name == "clusters" else value
                raise ConfigError(f"--{name} is {shown}", way_out)


@dataclass(frozen=True, eq=False)
class Labelled:
    """What is known of the series' utterances."""

    emotion: NDArray[np.int64]
    """(series,) place in ``labels``; -1 where raters tie or none is known."""
    labels: tuple[str, ...]
    values: Mapping[str, Floats]
    """arousal, valence, duration: (series,), NaN where unknown."""
    groups: NDArray[np.int64]
    """(series,) speaker, counted from 0."""
    grouped_by: str
    """speaker, session, or nothing."""


@dataclass(frozen=True, eq=False)
class ClusterStudy:
    """All that was found."""

    corpus: str
    options: ClusterOptions
    series: SeriesSet
    ready: Floats
    """(series, step) as they were compared."""
    known: Labelled
    found: tuple[Clustering, ...]
    """One per number of clusters."""
    best: Clustering
    """The one with the largest silhouette."""
    structure: Structure
    emotion: Relation | None
    """``None`` where there are not two emotions."""
    values: Mapping[str, Relation]
    """arousal, valence, duration, as far as they are known."""
    ids: tuple[str, ...] = ()
    """Of the utterances."""
    seen_from: str = ""
    """Which utterances were looked at, as a sentence."""
    usable: int = 0
    """Series before some were drawn."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of clusters."""
        return tuple(one.k for one in self.found)

    def counts(self) -> NDArray[np.int64]:
        """Return (cluster, emotion) utterances of the best number of clusters."""
        table = np.zeros((self.best.k, len(self.known.labels)), np.int64)
        has = self.known.emotion >= 0
        np.add.at(table, (self.best.labels[has], self.known.emotion[has]), 1)
        return table

    def to_plain(self) -> dict[str, Any]:
        """Return all numbers as plain data, for JSON."""
        per_k = [
            {
                "clusters": one.k,
                "silhouette": one.silhouette,
                "davies_bouldin": one.davies_bouldin,
                "sizes": np.bincount(one.labels, minlength=one.k).tolist(),
                "cramers_v": None if self.emotion is None else float(self.emotion.sizes[n]),
                **{f"{name}_effect": float(r.sizes[n]) for name, r in self.values.items()},
            }
            for n, one in enumerate(self.found)
        ]
        table = self.counts().tolist() if self.emotion else []
        return {
            "corpus": self.corpus,
            "options": asdict(self.options),
            "series": {
                "used": len(self.ready),
                "usable": self.usable,
                "left_out": dict(self.series.left_out),
                "steps": self.ready.shape[1],
                "median_seconds": float(np.median(self.series.seconds)),
                "from": self.seen_from,
            },
            "per_number_of_clusters": per_k,
            "best": self.best.k,
            "structure": {
                "silhouette": self.structure.silhouette,
                "random_walks": self.structure.walks_best.tolist(),
                "p": self.structure.p,
                "series": self.structure.series,
            },
            "emotion": None
            if self.emotion is None
            else {**_plain(self.emotion), "labels": self.known.labels, "counts": table},
            "permuted_within": self.known.grouped_by,
            **{name: _plain(relation) for name, relation in self.values.items()},
        }


def _plain(relation: Relation) -> dict[str, Any]:
    names = ("largest", "p", "needed", "utterances", "groups", "movable")
    return {name: getattr(relation, name) for name in names}


def cluster(corpus: Corpus, options: ClusterOptions) -> ClusterStudy:
    """Study one signal of a corpus; only training's utterances are looked at.

    Raises
    ------
    ConfigError
        If there are no biosignals, or no such signal.
    CorpusError
        If too few series can be used.
    """
    facts = gather_facts(corpus)
    usable = gather_series(corpus, facts.seen, options.signal, options.window)
    series = usable.draw(options.most, np.random.default_rng([options.seed, 1]))
    known = _labelled(facts, series)
    return study_series(
        series,
        known,
        options,
        corpus=corpus.name,
        ids=tuple(corpus.table.column("id", series.rows).tolist()),
        seen_from=facts.seen_from,
        usable=len(usable.rows),
    )


def study_series(
    series: SeriesSet, known: Labelled, options: ClusterOptions, **about: Any
) -> ClusterStudy:
    """Study series, wherever they come from.

    Parameters
    ----------
    series
        The series.
    known
        What is known of their utterances.
    options
        How they are clustered; which ones they are has been seen to.
    about
        ``corpus``, ``ids``, ``seen_from`` and ``usable`` of the study.

    Raises
    ------
    CorpusError
        If there are not two different series.
    """
    ready = series.ready(series.raw, options.scale)
    band = None if options.band is None else max(1, round(options.band * ready.shape[1]))
    low, high = options.clusters
    numbers = range(low, min(high, len(ready) // 2) + 1)
    distances = dtw_matrix(ready, None, band)
    rng = np.random.default_rng([options.seed, 2])
    found = tuple(clusterings(ready, distances, numbers, rng, options.method, band))
    if not found:
        raise CorpusError(
            f"{options.signal}: {len(ready)} series do not fall into {low} clusters",
            "give fewer with --clusters, or more series with --most",
        )
    rng = np.random.default_rng([options.seed, 3])
    some = np.sort(rng.permutation(len(ready))[:_COMPARED])
    compared = structure(
        [series.raw[k] for k in some],
        lambda raw: series.ready(raw, options.scale),
        [one.k for one in found if one.k <= len(some) // 2],
        rng,
        options.walks,
        band,
    )
    clusters = [one.labels for one in found]
    has = known.emotion >= 0
    emotion = None
    if len(np.unique(known.emotion[has])) > 1:
        emotion = emotion_relation(
            [labels[has] for labels in clusters],
            known.emotion[has],
            _numbered(known.groups[has]),
            options.permutations,
            np.random.default_rng([options.seed, 4]),
        )
    values = {}
    for name, value in known.values.items():
        there = np.isfinite(value)
        if np.count_nonzero(there) >= FEWEST_SERIES and np.ptp(value[there]) > 0:
            values[name] = value_relation(
                [labels[there] for labels in clusters],
                value[there],
                _numbered(known.groups[there]),
                options.permutations,
                np.random.default_rng([options.seed, 5]),
            )
    return ClusterStudy(
        **{"corpus": "", "usable": len(ready), **about},
        options=options,
        series=series,
        ready=ready,
        known=known,
        found=found,
        best=best_of(found),
        structure=compared,
        emotion=emotion,
        values=values,
    )


def _labelled(facts: CorpusFacts, series: SeriesSet) -> Labelled:
    frame = facts.frame.iloc[series.rows]
    labels = [one for one in facts.labels if (frame["emotion"] == one).any()]
    number = {label: n for n, label in enumerate(labels)}
    emotion = np.array([number.get(one, -1) for one in frame["emotion"]], np.int64)
    values = {name: frame[name].to_numpy(float) for name in ("arousal", "valence")}
    grouped_by = next((n for n in ("speaker", "session") if frame[n].notna().any()), "")
    # Utterances of unknown speakers are one group.
    names = [str(name) for name in frame[grouped_by]] if grouped_by else [""] * len(frame)
    groups = np.unique(names, return_inverse=True)[1]
    return Labelled(
        emotion, tuple(labels), {**values, "duration": series.seconds}, groups, grouped_by
    )


def _numbered(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.unique(groups, return_inverse=True)[1], np.int64)

"""Shapes of series: distances by dynamic time warping, clusters, and how distinct they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Clustering",
    "Method",
    "Structure",
    "best_of",
    "clusterings",
    "davies_bouldin",
    "dtw_matrix",
    "k_medoids",
    "structure",
    "walk",
]

Method = Literal["kmedoids", "kmeans"]
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

_STARTS = 8
_ROUNDS = 50
_BARYCENTRE_ROUNDS = 20


@dataclass(frozen=True, eq=False)
class Clustering:
    """Series in ``k`` clusters, the largest first."""

    labels: Labels
    """(series,) number of its cluster, from 0."""
    centres: Floats
    """(cluster, step): medoids, which are series themselves, or barycentres."""
    silhouettes: Floats
    """(series,) from -1 to 1: how much nearer its own cluster is than the next (Rousseeuw 1987)."""
    davies_bouldin: float
    """0 at best."""

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centres)

    @property
    def silhouette(self) -> float:
        """Mean over the series."""
        return float(self.silhouettes.mean())


@dataclass(frozen=True, eq=False)
class Structure:
    """The best silhouette over all numbers of clusters, and that of random walks."""

    silhouette: float
    """Of the series that were compared."""
    curve: Floats
    """(k,) silhouettes of those series."""
    walks: Floats
    """(walk, k) silhouettes of as many random walks with the same steps, time and again."""
    series: int
    """How many were compared."""

    @property
    def walks_best(self) -> Floats:
        """(walk,) the best silhouette of each set of random walks."""
        return np.asarray(self.walks.max(axis=1))

    @property
    def p(self) -> float:
        """Share of sets, the series themselves included, whose best silhouette is as large."""
        larger = int(np.count_nonzero(self.walks_best >= self.silhouette))
        return (1 + larger) / (1 + len(self.walks))


def dtw_matrix(series: Floats, others: Floats | None = None, band: int | None = None) -> Floats:
    """Return (series, other) distances by dynamic time warping; to themselves by default.

    The square root of the least sum of squared differences along a path from both first to both
    last steps, one step at a time in one of the series or in both (Sakoe and Chiba 1978).

    Parameters
    ----------
    series, others
        (series, step), all of one length.
    band
        Steps by which two series may be shifted at most; any by default.
    """
    from dtaidistance import dtw

    # Its window counts the diagonal, too; 0 is none.
    options = {"window": 0 if band is None else band + 1, "parallel": False}
    if others is None:
        return np.asarray(dtw.distance_matrix_fast(np.ascontiguousarray(series), **options))
    count, rest = len(series), len(others)
    both = np.ascontiguousarray(np.concatenate([series, others]))
    block = ((0, count), (count, count + rest))
    matrix = dtw.distance_matrix_fast(both, block=block, **options)
    return np.asarray(matrix[:count, count:])


def clusterings(
    series: Floats,
    distances: Floats,
    numbers: Sequence[int],
    rng: np.random.Generator,
    method: Method = "kmedoids",
    band: int | None = None,
) -> list[Clustering]:
    """Return the series in each number of clusters that there can be.

    A number is left out where there are not so many different series.

    Parameters
    ----------
    series
        (series, step).
    distances
        (series, series), of :func:`dtw_matrix`.
    numbers
        Numbers of clusters, each at least 2 and below the number of series.
    rng
        Of the starts.
    method
        kmedoids: each cluster about one of its series. kmeans: about a barycentre
        (Petitjean, Ketterlin and Gançarski 2011).
    band
        As in :func:`dtw_matrix`.
    """
    found = []
    for k in numbers:
        if method == "kmedoids":
            labels, medoids = k_medoids(distances, k, rng)
            centres, own = series[medoids], distances[:, medoids]
            apart = distances[np.ix_(medoids, medoids)]
        else:
            labels, centres = _k_means(series, distances, k, rng, band)
            own, apart = dtw_matrix(series, centres, band), dtw_matrix(centres, None, band)
        sizes = np.bincount(labels, minlength=len(centres))
        if len(centres) < k or not sizes.all():
            continue
        order = np.argsort(-sizes, kind="stable")
        labels = np.argsort(order)[labels]
        score = davies_bouldin(labels, own[:, order], apart[np.ix_(order, order)])
        found.append(Clustering(labels, centres[order], _silhouettes(distances, labels), score))
    return found


def best_of(found: Sequence[Clustering]) -> Clustering:
    """Return the clustering with the largest silhouette, of equals the one with fewest clusters."""
    return max(found, key=lambda one: one.silhouette)


def k_medoids(
    distances: Floats, k: int, rng: np.random.Generator, starts: int = _STARTS
) -> tuple[Labels, Labels]:
    """Return (series,) clusters and (cluster,) medoids with the least sum of distances found.

    Series go to the nearest medoid, medoids to the middle of their cluster, until nothing moves;
    from several starts, each drawn far apart (Park and Jun 2009; Arthur and Vassilvitskii 2007).
    Fewer medoids come back where there are not ``k`` different series.

    Parameters
    ----------
    distances
        (series, series), symmetric.
    k
        Number of clusters.
    rng
        Of the starts.
    starts
        How many.
    """
    least, best = math.inf, np.empty(0, np.int64)
    for _ in range(starts):
        medoids = _far_apart(distances, k, rng)
        for _ in range(_ROUNDS):
            labels = distances[:, medoids].argmin(axis=1)
            members = labels[:, None] == np.arange(len(medoids))
            within = np.where(members, distances @ members, np.inf)
            moved = within.argmin(axis=0)
            if np.array_equal(moved, medoids):
                break
            medoids = moved
        total = float(distances[:, medoids].min(axis=1).sum())
        if total < least:
            least, best = total, medoids
    return distances[:, best].argmin(axis=1), best


def _far_apart(distances: Floats, k: int, rng: np.random.Generator) -> Labels:
    """Draw medoids, each with a chance that grows with the squared distance to those before."""
    medoids = [int(rng.integers(len(distances)))]
    while len(medoids) < k:
        chance = np.cumsum(distances[:, medoids].min(axis=1) ** 2)
        if not chance[-1] > 0:
            break
        medoids.append(int(np.searchsorted(chance, rng.random() * chance[-1], side="right")))
    return np.array(medoids, np.int64)


def _k_means(
    series: Floats, distances: Floats, k: int, rng: np.random.Generator, band: int | None
) -> tuple[Labels, Floats]:
    """Return (series,) clusters and (cluster, step) barycentres, from the medoids on."""
    from dtaidistance.dtw_barycenter import dba_loop

    labels, medoids = k_medoids(distances, k, rng)
    centres = series[medoids]
    for _ in range(_ROUNDS):
        members = labels[:, None] == np.arange(len(centres))
        centres = np.array(
            [
                dba_loop(series, centre, _BARYCENTRE_ROUNDS, mask=own, use_c=True)
                if own.any()
                else centre
                for centre, own in zip(centres, members.T, strict=True)
            ]
        )
        moved = dtw_matrix(series, centres, band).argmin(axis=1)
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels, centres


def davies_bouldin(labels: Labels, own: Floats, apart: Floats) -> float:
    """Return the index of Davies and Bouldin (1979, p = q = 1), from distances to centres.

    Per cluster the largest ratio, over the other clusters, of both clusters' mean distances to
    their centres to the distance of the centres; its mean over the clusters.

    Parameters
    ----------
    labels
        (series,) clusters, none of them empty.
    own
        (series, cluster) distances to the centres.
    apart
        (cluster, cluster) distances of the centres.
    """
    members = labels[:, None] == np.arange(len(apart))
    spread = (own * members).sum(axis=0) / members.sum(axis=0)
    ratio = np.full(apart.shape, -np.inf)
    other = ~np.eye(len(apart), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio[other] = ((spread[:, None] + spread) / apart)[other]
    return float(np.nan_to_num(ratio, nan=0.0, posinf=np.inf, neginf=-np.inf).max(axis=1).mean())


def _silhouettes(distances: Floats, labels: Labels) -> Floats:
    from sklearn.metrics import silhouette_samples

    return np.asarray(silhouette_samples(distances, labels, metric="precomputed"), np.float64)


def walk(series: Floats, rng: np.random.Generator) -> Floats:
    """Return (step,) a random walk from the first to the last value, with the series' own steps.

    They come in random order: what is left is where it starts and ends and how far it steps.
    """
    return np.concatenate([series[:1], series[0] + np.cumsum(rng.permutation(np.diff(series)))])


def structure(
    raw: Sequence[Floats],
    prepare: Callable[[Sequence[Floats]], Floats],
    numbers: Sequence[int],
    rng: np.random.Generator,
    walks: int,
    band: int | None = None,
) -> Structure:
    """Compare the best silhouette with that of random walks, clustered alike, by k-medoids.

    Parameters
    ----------
    raw
        Series before scaling, of any lengths.
    prepare
        Scales series and brings them to one length: (series, step).
    numbers
        Numbers of clusters.
    rng
        Of walks and starts.
    walks
        How many sets of random walks.
    band
        As in :func:`dtw_matrix`.
    """

    def curve(ready: Floats) -> Floats:
        distances = dtw_matrix(ready, None, band)
        found = {c.k: c.silhouette for c in clusterings(ready, distances, numbers, rng, band=band)}
        return np.array([found.get(k, -1.0) for k in numbers])

    own = curve(prepare(raw))
    others = np.array([curve(prepare([walk(one, rng) for one in raw])) for _ in range(walks)])
    return Structure(float(own.max()), own, others, len(raw))

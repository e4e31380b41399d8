"""A corpus's biosignal as series: one per utterance, cleaned, thinned, scaled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emoflow.corpora import Corpus
from emoflow.corpora.signals import recordings
from emoflow.data.progress import progress
from emoflow.errors import ConfigError, CorpusError
from emoflow.frontends.signals.beats import BVP, ECG
from emoflow.frontends.signals.cleaning import GOOD, Floats, Kind, even_readings, readings_within
from emoflow.frontends.signals.options import Window
from emoflow.frontends.signals.skin import EDA
from emoflow.frontends.signals.temperature import TEMP
from emoflow.traces import SignalTrace

__all__ = [
    "FEWEST_SERIES",
    "LONGEST_SERIES",
    "Scale",
    "SeriesSet",
    "cut_series",
    "gather_series",
    "resampled",
    "scaled",
]

Scale = Literal["minmax", "standard", "none"]

FEWEST_SERIES = 20
FEWEST_READINGS = 4
LONGEST_SERIES = 64
_SHORTEST_COMMON = 8
_MOST_ABSENT = 0.2
"""Share of the span, before the first reading, above which a series is not used."""
_KINDS = {
    "BVP": BVP,
    "ECG": ECG,
    "EDA": EDA,
    "IBI": Kind(low=0.3, high=2.0, slowest_hz=0.2, stuck_seconds=60.0),
    "TEMP": TEMP,
}
_ANY = Kind(low=-np.inf, high=np.inf, slowest_hz=0.01, stuck_seconds=np.inf)
_REASONS = {
    "empty": "no reading in the span",
    "no numbers": "no reading in the span is a number",
    "out of range": "readings out of the physiological range",
    "noisy": "more than a fifth of the readings out of range or leaping",
    "gappy": "more than a fifth of the span without readings",
    "wrong rate": "too slow or too fast a rate",
    "flat": "flat",
}
_SHORT = f"fewer than {FEWEST_READINGS} readings"
_NO_PLACE = "the recording does not say where the utterance lies"
_NO_SIGNALS = "no biosignals"


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """The series that can be used, and why others cannot."""

    rows: NDArray[np.int64]
    """(series,) row of the utterance."""
    raw: tuple[Floats, ...]
    """Per series (reading,) in the signal's unit, at even times, 4 to 64 of them."""
    seconds: Floats
    """(series,) between first and last reading."""
    left_out: Mapping[str, int]
    """Reason to utterances."""
    unit: str

    @property
    def steps(self) -> int:
        """The length that all series are brought to: the middle one's, 8 to 64."""
        middle = round(float(np.median([len(one) for one in self.raw])))
        return min(max(middle, _SHORTEST_COMMON), LONGEST_SERIES)

    def ready(self, raw: Sequence[Floats], scale: Scale) -> Floats:
        """Return (series, step): brought to one length, then scaled."""
        steps = self.steps
        return scaled(np.array([resampled(one, steps) for one in raw]), scale)

    def draw(self, most: int, rng: np.random.Generator) -> SeriesSet:
        """Return so many of the series at most, each with the same chance."""
        if len(self.rows) <= most:
            return self
        kept = np.sort(rng.permutation(len(self.rows))[:most])
        raw = tuple(self.raw[k] for k in kept)
        return SeriesSet(self.rows[kept], raw, self.seconds[kept], self.left_out, self.unit)


def gather_series(
    corpus: Corpus, rows: NDArray[np.int64], signal: str, window_s: float | None = None
) -> SeriesSet:
    """Read the biosignals of ``rows`` and cut out one signal's series.

    Parameters
    ----------
    corpus
        Its ``read_signals`` is asked once per recording.
    rows
        Utterances.
    signal
        Such as EDA, in any case of letters.
    window_s
        Take the so many seconds that end with the utterance, in place of the utterance.

    Raises
    ------
    ConfigError
        If the utterances have no biosignals, or no such signal; it names those that they have.
    CorpusError
        If fewer than 20 series can be used; it says what befell the others.
    """
    with_signals = corpus.table.present("signals")[rows]
    if not with_signals.any():
        modalities = ", ".join(corpus.modalities)
        raise ConfigError(
            f"{corpus.name}: no utterance that may be looked at has biosignals",
            f"this corpus has {modalities}; choose a config of one with signals, such as "
            "kemdy20.yaml",
        )
    left_out = Counter({_NO_SIGNALS: int(np.count_nonzero(~with_signals))})
    named: set[str] = set()
    found: dict[int, tuple[Floats, float]] = {}
    unit = ""
    reading = recordings(corpus.table, rows[with_signals], corpus.read_signals)
    for members, recording in progress(reading, f"Reading {signal}", unit="recording"):
        by_case = {name.casefold(): name for name in recording.traces}
        named.update(recording.traces)
        name = by_case.get(signal.casefold())
        for row, id in zip(members.tolist(), corpus.table.column("id", members), strict=True):
            if name is None:
                left_out[f"no {signal.upper()} in the recording"] += 1
            elif id not in recording.spans:
                left_out[_NO_PLACE] += 1
            else:
                trace = recording.traces[name]
                cut = cut_series(trace, name, *recording.spans[id], window_s)
                if isinstance(cut, str):
                    left_out[cut] += 1
                else:
                    found[row], unit = cut, trace.unit
    left_out = Counter({reason: n for reason, n in left_out.items() if n})
    if signal.casefold() not in {name.casefold() for name in named}:
        there = ", ".join(sorted(named)) or "none that can be read"
        raise ConfigError(
            f"{corpus.name}: there is no signal {signal}", f"give --signal one of: {there}"
        )
    if len(found) < FEWEST_SERIES:
        why = "; ".join(f"{reason}: {n:,}" for reason, n in left_out.most_common())
        other = (
            "a longer stretch of it with --window 30" if window_s is None else "another --window"
        )
        raise CorpusError(
            f"{corpus.name}: only {len(found)} of {len(rows):,} utterances have {signal} that can "
            f"be used, and {FEWEST_SERIES} are needed ({why})",
            f"take another signal, or {other}",
        )
    used = np.array(sorted(found), np.int64)
    raw = tuple(found[row][0] for row in used.tolist())
    seconds = np.array([found[row][1] for row in used.tolist()])
    return SeriesSet(used, raw, seconds, dict(left_out.most_common()), unit)


def cut_series(
    trace: SignalTrace, name: str, start: float, end: float, window_s: float | None = None
) -> tuple[Floats, float] | str:
    """Return a signal's readings inside a span and its seconds, or why they cannot be used.

    Readings that are no numbers, out of range or leaping count as missing. Lines bridge gaps of
    up to a fifth of the span in all, and bring irregular readings to even times. More than 64
    readings are averaged to 64.

    Parameters
    ----------
    trace
        The signal.
    name
        Its name, by which its range is known.
    start, end
        Of the utterance, in seconds on the clock of the trace.
    window_s
        Take the so many seconds that end with the utterance.
    """
    first = start if window_s is None else end - window_s
    kind = _KINDS.get(name.upper(), _ANY)
    window = Window(first, end, first, end)
    with np.errstate(all="ignore"):
        numbers = np.count_nonzero(np.isfinite(readings_within(trace, window)[0]))
        stretch = even_readings(trace, window, kind)
    if 0 < numbers < FEWEST_READINGS:
        return _SHORT
    if stretch.quality != GOOD:
        return _REASONS.get(stretch.quality, stretch.quality)
    values = stretch.values
    if len(values) < FEWEST_READINGS:
        return _SHORT
    if stretch.start_s - first > _MOST_ABSENT * (end - first):
        return _REASONS["gappy"]
    thin = resampled(values, min(len(values), LONGEST_SERIES))
    if not np.ptp(thin) > max(kind.least_swing, 1e-9 * float(np.abs(thin).max())):
        return _REASONS["flat"]
    return thin, (len(values) - 1) / stretch.rate_hz


def resampled(values: Floats, steps: int) -> Floats:
    """Return (step,) from first to last value: means of many readings, or lines between few."""
    count = len(values)
    if count == steps:
        return values
    if count < steps:
        return np.interp(np.linspace(0, count - 1, steps), np.arange(count), values)
    total = np.concatenate([[0.0], np.cumsum(values)])
    edges = np.interp(np.linspace(0, count, steps + 1), np.arange(count + 1), total)
    return np.asarray(np.diff(edges) * steps / count)


def scaled(series: Floats, scale: Scale) -> Floats:
    """Return (series, step), each scaled on its own; none keeps its level and its swing.

    minmax: from 0 to 1. standard: mean 0, deviation 1.
    """
    if scale == "none":
        return series
    if scale == "standard":
        away = series - series.mean(axis=1, keepdims=True)
        return np.asarray(away / np.maximum(away.std(axis=1, keepdims=True), 1e-300))
    low, high = series.min(axis=1, keepdims=True), series.max(axis=1, keepdims=True)
    return np.asarray((series - low) / np.maximum(high - low, 1e-300))

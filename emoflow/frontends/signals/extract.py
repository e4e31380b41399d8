"""Signals of a recording to the features of one of its utterances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emoflow.frontends.signals.cleaning import GOOD
from emoflow.frontends.signals.heart import HEART_SOURCES, heart_features
from emoflow.frontends.signals.measured import Measured, shortened
from emoflow.frontends.signals.options import SignalOptions, Window
from emoflow.frontends.signals.skin import skin_features
from emoflow.frontends.signals.table import FEATURES, SignalFeature
from emoflow.frontends.signals.temperature import temperature_features
from emoflow.traces import SignalTrace

__all__ = ["NAMES", "SignalFeatures", "signal_features"]

NAMES = tuple(feature.name for feature in FEATURES)
_SIGNAL_OF = {"skin": "EDA", "temperature": "TEMP"}
_USABLE = 0.8  # of a window: features that need more are not expected of it


@dataclass(frozen=True, eq=False)
class SignalFeatures:
    """What an utterance's signals say; finite, whatever the signals were."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    """(feature,) in the units of the table; 0 where unknown."""
    known: NDArray[np.bool_]
    """(feature,)"""
    quality: Mapping[str, str]
    """Signal to ``good`` or to what is wrong with it: ``absent``, ``empty``, ``no numbers``,
    ``out of range``, ``wrong rate``, ``short``, ``flat``, ``gappy``, ``noisy``, ``no beats``,
    ``no baseline``; ``not used`` where a better one told of the heart. After a colon, figures."""


def signal_features(
    signals: Mapping[str, SignalTrace],
    start: float,
    end: float,
    options: SignalOptions | None = None,
) -> SignalFeatures:
    """Return the features of the signals around an utterance.

    Never raises for what readings hold: what cannot be measured, or that no living person has,
    is unknown, with value 0. With the options as they are, nothing after ``end`` is looked at.

    Parameters
    ----------
    signals
        Of one person, by the names in ``SIGNALS``; further ones are passed over.
    start, end
        The utterance on the clock of the signals, in seconds.
    options
        Window and baseline.
    """
    options = options or SignalOptions()
    with np.errstate(all="ignore"):
        window = options.window(float(start), float(end))
        values, quality, source = _window_features(signals, window, options, HEART_SOURCES)
        if options.baseline == "past":
            values = _above_baseline(values, quality, signals, window, options, source)
    known = np.array([name in values for name in NAMES])
    filled = np.array([values.get(name, 0.0) for name in NAMES])
    return SignalFeatures(NAMES, filled, known, quality)


def _window_features(
    signals: Mapping[str, SignalTrace],
    window: Window,
    options: SignalOptions,
    sources: tuple[str, ...],
) -> tuple[dict[str, float], dict[str, str], str | None]:
    """Return the features that are known, quality per signal, and what told of the heart."""
    heart, source = heart_features(signals, window, sources)
    parts = (
        heart,
        skin_features(signals, window, options.least_scr),
        temperature_features(signals, window),
    )
    quality = {name: word for part in parts for name, word in part.quality.items()}
    known: dict[str, float] = {}
    for part in parts:
        known |= {f.name: value for f in FEATURES if (value := _known(f, part)) is not None}
        for group, seconds in part.seconds.items():
            signal = _SIGNAL_OF.get(group, source or "")
            if quality[signal].startswith(GOOD) and seconds < _expected(group, options.seconds):
                quality[signal] = shortened(quality[signal], seconds)
    return known, quality, source


def _expected(group: str, seconds: float) -> float:
    """Return how much signal the features of a group need that fit into a window."""
    needs = [feature.least_seconds for feature in FEATURES if feature.group == group]
    return max((need for need in needs if need <= _USABLE * seconds), default=0.0)


def _known(feature: SignalFeature, part: Measured) -> float | None:
    value = float(part.values.get(feature.name, math.nan))
    enough = part.seconds.get(feature.group, 0.0) >= feature.least_seconds
    return value if enough and feature.low <= value <= feature.high else None


def _above_baseline(
    values: Mapping[str, float],
    quality: dict[str, str],
    signals: Mapping[str, SignalTrace],
    window: Window,
    options: SignalOptions,
    source: str | None,
) -> dict[str, float]:
    """Return the values less their means over the windows before; notes in ``quality`` if none."""
    sources = (source,) if source else ()
    before: dict[str, list[float]] = {}
    for count in range(1, options.baseline_windows + 1):
        earlier = _window_features(signals, window.earlier(count), options, sources)[0]
        for name, value in earlier.items():
            before.setdefault(name, []).append(value)
    for group in {f.group for f in FEATURES if f.name in values}:
        if not any(f.group == group and f.name in before for f in FEATURES):
            quality[_SIGNAL_OF.get(group, source or "")] = "no baseline"
    return {name: v - float(np.mean(before[name])) for name, v in values.items() if name in before}

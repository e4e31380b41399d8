"""KEMDy19's biosignals: electrocardiogram, skin conductance and temperature of whole recordings.

A person has one file per signal, in which the session's parts (scripts, improvisations) follow one
another, each with a clock of its own. A part is recorded from 30 s before its first utterance's
clock begins to 5 s after its last one; what is said meanwhile is tagged, the rest is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["LEAD", "Heard", "write_recordings"]

LEAD = 30.0
"""Seconds of signal before the clock of a part's utterances begins."""
_TAIL = 5.0
_RATES = {"ECG": 64.0, "EDA": 4.0, "TEMP": 4.0}
_CLOCK = [f"10:{minute:02}:{second:02}" for minute in range(60) for second in range(60)]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance that a person said or heard."""

    id: str
    start: float
    """Seconds on the part's clock, as ``end``."""
    end: float
    tagged: bool = True

    @property
    def part(self) -> str:
        """Its script or improvisation."""
        return self.id.split("_")[1]


def write_recordings(
    path: Path, rng: np.random.Generator, signal: str, said: Sequence[Heard], odd: bool
) -> None:
    """Write one person's file of ECG, EDA or TEMP.

    With ``odd``, a row that is cut short stands before every utterance, and at the end of the file
    a row without a number and one of no utterance.
    """
    level = rng.normal()
    rows = [
        _part(rng, signal, [u for u in said if u.part == part], level, odd)
        for part in dict.fromkeys(u.part for u in said)
    ]
    tagged = [u.id for u in said if u.tagged]
    noise = [f"?,,,{name}\n" for name in tagged[:1]] + ["1,1,1,Sess00_no_such_segment\n"]
    path.write_text("".join(chain(*rows, noise if odd else [])), encoding="utf-8")


def _part(
    rng: np.random.Generator, signal: str, said: Sequence[Heard], level: float, odd: bool
) -> list[str]:
    """Return the lines of one script or improvisation."""
    times = np.arange(0.0, LEAD + said[-1].end + _TAIL, 1 / _RATES[signal])
    make = {"ECG": _electrocardiogram, "EDA": _skin_conductance, "TEMP": _temperature}[signal]
    values = make(rng, times, level)
    tags = ["\n"] * len(times)
    for first in range(7, len(times), 40):
        tags[first] = ",\n"  # an empty field may stand where there is no utterance
    begins = []
    for utterance in said:
        begin, end = np.searchsorted(times, LEAD + np.array([utterance.start, utterance.end]))
        begins.append(int(begin))
        if utterance.tagged:
            tags[begin:end] = [f",{utterance.id}\n"] * int(end - begin)
    seconds, thousandths = np.divmod(np.rint(times * 1000).astype(np.int64), 1000)
    stamps = [_CLOCK[second % 3600] for second in seconds.tolist()]
    numbers = (times, values) if signal == "ECG" else (values, times)
    cells = [column.tolist() for column in (*numbers, thousandths)]
    columns = zip(cells[0], cells[1], stamps, cells[2], tags, strict=True)
    rows = list(map("%.6f,%.6f,%s.%03d%s".__mod__, columns))
    for begin in reversed(begins if odd else []):
        kept = rows[begin].rstrip(",\n").split(",")[: int(rng.integers(1, 4))]
        rows.insert(begin, ",".join([*kept, "\n"]))
    return rows


def _electrocardiogram(rng: np.random.Generator, times: Floats, level: float) -> Floats:
    """Return mV: P, R, S and T waves every 0.8 s or so, over a wandering baseline."""
    usual = 0.8 + 0.04 * np.clip(level, -2, 2)
    count = int(times[-1] / usual * 1.3) + 4
    breath = 0.03 * np.sin(2 * np.pi * 0.25 * usual * np.arange(count))
    gaps = np.clip(usual + breath + rng.normal(0, 0.015, count), 0.6, 1.05)
    beats = np.cumsum(gaps) - 1.0
    after = np.searchsorted(beats, times)
    wave = 0.05 * np.sin(2 * np.pi * 0.2 * times) + rng.normal(0, 0.01, times.size)
    for beat in (beats[after - 1], beats[after]):
        for height, place, width in (
            (0.1, -0.16, 0.02), (1.0, 0.0, 0.012), (-0.2, 0.035, 0.012), (0.25, 0.25, 0.045),
        ):  # fmt: skip
            wave += height * np.exp(-0.5 * ((times - beat - place) / width) ** 2)
    return np.asarray(wave, np.float64)


def _skin_conductance(rng: np.random.Generator, times: Floats, level: float) -> Floats:
    """Return µS: a slow level, and responses that rise in a second and fade in some."""
    slow = 1.5 * np.exp(0.35 * np.clip(level, -2, 2)) * (1 + 0.1 * np.sin(times / 70))
    response = np.zeros(times.size)
    for begin in np.cumsum(rng.uniform(6, 20, int(times[-1] / 6) + 1)).tolist():
        since = np.clip(times - begin, 0, None)
        response += rng.uniform(0.1, 0.5) * (np.exp(-since / 4) - np.exp(-since / 0.75))
    return np.asarray(np.clip(slow + response + rng.normal(0, 0.002, times.size), 0.3, 5.0))


def _temperature(rng: np.random.Generator, times: Floats, level: float) -> Floats:
    """Return °C, which drifts by some tenths of a degree."""
    walk = np.cumsum(rng.normal(0, 0.004, times.size))
    return np.asarray(33.0 + 0.4 * np.clip(level, -2, 2) + walk, np.float64)

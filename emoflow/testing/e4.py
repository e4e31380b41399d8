"""Wristband signals (EDA, IBI, TEMP) as KEMDy20 has them: ragged, some missing or empty.

A body is seen in them, behind what differs between people and between recordings. Tension raises
the level of skin conductance, the rate of its responses and the heart's rate, and lowers the
heart's variability; warmth raises the temperature of the skin, at once and, with a time constant
of five minutes, further on. Above that, skin conductance responds to every utterance, the more
the higher its arousal; features of a minute do not show it, readings of single utterances may.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["Spoken", "foreign_id", "write_signals"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spoken:
    """One utterance on its way to the disk."""

    session: int
    script: int
    speaker: str
    segment: str
    start: float
    """Seconds since the script began."""
    seconds: float
    arousal: float
    tension: float
    """In standard deviations, the same throughout a recording; so is ``warmth``."""
    warmth: float


def foreign_id(segment: str) -> str:
    """Return the id as an early copy has it: session 17 carries ids of a session 42."""
    return "Sess42" + segment[6:] if segment.startswith("Sess17") else segment


def write_signals(
    root: Path, rng: np.random.Generator, numbers: list[int], lines: Sequence[Spoken]
) -> npt.NDArray[np.bool_]:
    """Write EDA, IBI and TEMP per script and speaker: ragged, some missing or empty.

    Returns
    -------
    array
        (line, 2) whether the files that an utterance has show tension, and warmth.
    """
    for name in ("EDA", "IBI", "TEMP"):
        for session in numbers:
            (root / name / f"Session{session:02d}").mkdir(parents=True)
    groups: dict[tuple[int, int, str], list[Spoken]] = {}
    for line in lines:
        groups.setdefault((line.session, line.script, line.speaker), []).append(line)
    names = dict.fromkeys(line.speaker for line in lines)
    people = {name: rng.standard_normal(5) for name in names}
    hidden: set[tuple[int, int, str]] = set()
    for place, ((session, script, speaker), said) in enumerate(groups.items()):
        name = f"Session{session:02d}/Sess{session:02d}_script{script:02d}_{speaker}.csv"
        spans = [(u.start, u.start + u.seconds, foreign_id(u.segment)) for u in said]
        if place % 16 == 15:
            spans.append((said[-1].start + 30.0, said[-1].start + 31.0, "Sess00_no_such_segment"))
        seconds = max(end for _, end, _ in spans) + 2.0
        eda, temp, ibi = _e4(rng, said, seconds, spans, people[speaker])
        odd = place % 12
        if odd == 5:  # no EDA, no TEMP: the heart alone shows tension
            hidden.add((session, script, speaker))
            (root / "IBI" / name).write_text(ibi, encoding="utf-8")
            continue
        if odd == 7:
            eda = "".join(eda.splitlines(keepends=True)[:2])
        if odd == 9:
            eda = re.sub(r"\n\d+\.(\d+),", r"\nnan?\1,,", eda, count=1)
        ibi = {1: "", 3: ibi.splitlines(keepends=True)[0]}.get(odd, ibi)
        (root / "EDA" / name).write_text(eda, encoding="utf-8")
        (root / "TEMP" / name).write_text(temp, encoding="utf-8")
        if odd != 11:
            (root / "IBI" / name).write_text(ibi, encoding="utf-8")
    return np.array([(True, (u.session, u.script, u.speaker) not in hidden) for u in lines])


def _e4(
    rng: np.random.Generator,
    said: list[Spoken],
    seconds: float,
    spans: list[tuple[float, float, str]],
    person: Floats,
) -> tuple[str, str, str]:
    """Return EDA and TEMP (4 Hz) and IBI as ragged csv; ``person`` holds five numbers, N(0, 1)."""
    tension, warmth = said[0].tension, said[0].warmth
    own = person + rng.standard_normal(5)  # the recording's and the person's
    times = np.arange(0, seconds, 0.25)
    rate = 3.0 * np.exp(0.40 * tension + 0.20 * own[0])  # responses per minute
    begins = rng.uniform(0, seconds, rng.poisson(rate * seconds / 60))
    responses = [(begin, rng.uniform(0.03, 0.09)) for begin in begins.tolist()]
    responses += [(line.start, (line.arousal - 1) / 40) for line in said]
    drift = np.cumsum(rng.normal(0, 0.003, times.size))
    eda = 0.5 * np.exp(0.28 * tension + 0.20 * own[1] + drift)
    for begin, height in responses:
        eda += height * np.exp(-0.5 * ((times - begin - 2.0) / 1.5) ** 2)
    temp = 33.0 + 0.3 * warmth + 0.25 * own[2]
    temp = temp + 0.4 * warmth * (1 - np.exp(-times / 300))
    temp += np.cumsum(rng.normal(0, 0.004, times.size))
    gap = 0.82 - 0.045 * tension + 0.03 * own[3]
    spread = 0.05 * np.exp(0.15 * own[4] - 0.22 * tension)
    gaps = np.clip(rng.normal(gap, spread, int(seconds / 0.45) + 2), 0.45, 1.3)
    moments = np.cumsum(gaps)
    beats = (moments[moments < seconds], gaps[moments < seconds])

    def tag(t: float) -> str:
        name = next((s for start, end, s in spans if start <= t <= end), None)
        # A trailing empty field may stand where there is no segment.
        return f",{name}" if name else "," if int(t * 4) % 40 == 0 else ""

    def stamp(t: float) -> str:
        return f"2020-0821-12{int(t) // 60 % 60:02d}-{int(t) % 60:02d}-{int(t % 1 * 1000):03d}"

    def regular(values: Floats) -> str:
        rows = [
            f"{v:.6f},{stamp(t)}{tag(t)}"
            for v, t in zip(values.tolist(), times.tolist(), strict=True)
        ]
        return "\n".join(["1597979599.00", "4.000000", *rows]) + "\n"

    rows = [
        f"{t:.6f},{g:.6f},{stamp(t)}{tag(t)}"
        for t, g in zip(*(column.tolist() for column in beats), strict=True)
    ]
    return regular(eda), regular(temp), "\n".join(["1597979599.00, IBI", *rows]) + "\n"

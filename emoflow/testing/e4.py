"""Wristband signals (EDA, IBI, TEMP) as KEMDy20 has them: ragged, some missing or empty."""

from __future__ import annotations

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


def foreign_id(segment: str) -> str:
    """Return the id as an early copy has it: session 17 carries ids of a session 42."""
    return "Sess42" + segment[6:] if segment.startswith("Sess17") else segment


def write_signals(
    root: Path, rng: np.random.Generator, numbers: list[int], lines: Sequence[Spoken]
) -> None:
    """Write EDA, IBI and TEMP per script and speaker: ragged, some missing or empty."""
    for name in ("EDA", "IBI", "TEMP"):
        for session in numbers:
            (root / name / f"Session{session:02d}").mkdir(parents=True)
    groups: dict[tuple[int, int, str], list[Spoken]] = {}
    for line in lines:
        groups.setdefault((line.session, line.script, line.speaker), []).append(line)
    for place, ((session, script, speaker), said) in enumerate(groups.items()):
        name = f"Session{session:02d}/Sess{session:02d}_script{script:02d}_{speaker}.csv"
        spans = [(u.start, u.start + u.seconds, foreign_id(u.segment)) for u in said]
        if place % 16 == 15:
            spans.append((said[-1].start + 30.0, said[-1].start + 31.0, "Sess00_no_such_segment"))
        seconds = max(end for _, end, _ in spans) + 2.0
        eda, temp, ibi = _e4(rng, said, seconds, spans)
        odd = place % 12
        if odd == 5:  # not worn: no EDA, no TEMP
            (root / "IBI" / name).write_text(ibi, encoding="utf-8")
            continue
        if odd == 7:
            eda = "".join(eda.splitlines(keepends=True)[:2])
        if odd == 9:
            eda = eda.replace(",", ",,", 1).replace("0.", "nan?", 1)
        ibi = {1: "", 3: ibi.splitlines(keepends=True)[0]}.get(odd, ibi)
        (root / "EDA" / name).write_text(eda, encoding="utf-8")
        (root / "TEMP" / name).write_text(temp, encoding="utf-8")
        if odd != 11:
            (root / "IBI" / name).write_text(ibi, encoding="utf-8")


def _e4(
    rng: np.random.Generator,
    said: list[Spoken],
    seconds: float,
    spans: list[tuple[float, float, str]],
) -> tuple[str, str, str]:
    """Return EDA and TEMP (4 Hz) and IBI as ragged csv."""
    times = np.arange(0, seconds, 0.25)
    drive = np.zeros_like(times)
    for line in said:
        drive += np.exp(-0.5 * ((times - line.start - 2.0) / 1.5) ** 2) * (line.arousal - 1) / 40
    eda = 0.35 + np.cumsum(rng.normal(0, 0.0015, times.size)) + drive
    temp = 33.0 + rng.normal(0, 0.5) + np.cumsum(rng.normal(0, 0.004, times.size))
    gaps = np.clip(rng.normal(0.82, 0.05, int(seconds / 0.6) + 2), 0.45, 1.3)
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

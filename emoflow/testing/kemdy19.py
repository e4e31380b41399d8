"""KEMDy19's layout, oddities included, filled with synthetic content."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from emoflow.errors import ConfigError
from emoflow.testing.e4_kemdy19 import Heard, write_recordings
from emoflow.testing.folders import is_complete, made_by, write_audio, written_whole
from emoflow.testing.words import draw_sentence
from emoflow.types import SAMPLE_RATE, Rating, Speech, Utterance

__all__ = ["write_kemdy19"]

VERSION = 2
"""Raised whenever the same seed gives other content, so that old folders are replaced."""
_EMOTIONS = ("neutral", "happy", "surprise", "angry", "sad", "disgust", "fear")
_TIE_ORDER = ("happy", "neutral", "sad", "angry", "surprise", "fear", "disgust")
_PARTS = {
    1: ("impro03", "script01"),
    3: ("impro02", "script04"),
    4: ("impro03", "script03"),
    6: ("script02", "impro04"),
    7: ("script02", "script05"),
    9: ("script06", "impro01"),
}
"""Which recordings of a session are made; another session has the first two scripts."""
_NO_AUDIO, _NO_TEXT = "Sess03_script04_F001", "Sess06_script02_M001"
_UNTAGGED = ("Sess01_impro03", "Sess01_impro04")
_REALLY, _WRITTEN = "Sess03_impro02_F001", "Sess03_impro02_M001"
_MISPLACED = {253: "Sess09_script06_M001", 310: "Sess09_impro01_M001"}
_NOBODY = {"F": "Sess04_impro03_M031", "M": "Sess04_impro03_F031"}

Role = Literal["speaker", "listener", "both"]
Cells = list[str]


@dataclass
class _Rated:
    """What raters say of one person during one utterance."""

    person: str
    cells: Cells
    """Total, then ten raters: emotion, valence, arousal each."""
    emotion: str | None
    first: str | None
    votes: dict[str, float]
    valence: float
    arousal: float
    raters: tuple[Rating, ...]


@dataclass
class _Line:
    """One utterance on its way to the disk."""

    id: str
    start: float
    end: float
    raw: bytes | None
    text: str | None
    rated: dict[str, _Rated] = field(default_factory=dict)

    @property
    def session(self) -> int:
        return int(self.id[4:6])

    @property
    def folder(self) -> str:
        return f"wav/Session{self.id[4:6]}/{self.id[:-5]}"


def write_kemdy19(
    folder: str | Path,
    *,
    count: int = 36,
    sessions: Sequence[int] = (1, 3, 4, 6, 7, 9),
    seed: int = 0,
    odd: bool = True,
    role: Role = "speaker",
) -> list[Utterance]:
    """Write a small corpus in KEMDy19's layout and return its utterances.

    Speech is noise of about 0.3 s (16 kHz, mono, PCM16). Two files of annotation per session, of
    the woman and of the man, hold a row for every utterance. Signals are whole recordings, see
    :mod:`emoflow.testing.e4_kemdy19`.

    With ``odd``, what a loader must survive is in it: ids that are wrong, misplaced, repeated, of
    no utterance, or noisy; a byte order mark and CRLF; ``converted`` copies and stray files; wavs
    without txt and the reverse; transcripts with tags and overlap, in CP949, broken, or empty;
    ties; signal cells that are empty; sessions and recordings without signals; a wav that nobody
    rated. Empty rows fill two tables up to where the real ones have their wrong ids.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Utterances altogether: 4 to 800 per session, a multiple of the sessions is best.
    sessions
        Numbers from 1 to 20. The wrong ids are in 3, 4 and 9; 6 has only ECG, 7 no signals.
    seed
        Another seed gives other words, ratings and signals.
    odd
        Whether to plant oddities.
    role
        Whose state the utterances that are returned tell; the files are the same.

    Raises
    ------
    ConfigError
        If a size is not what the layout has.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    numbers = sorted(set(sessions))
    if not numbers or not set(numbers) <= set(range(1, 21)):
        raise ConfigError(f"sessions are {list(sessions)}", "give numbers from 1 to 20")
    each = count // len(numbers)
    if not 4 <= each <= 800:
        raise ConfigError(
            f"count is {count} for {len(numbers)} sessions", "give 4 to 800 per session"
        )
    root = Path(folder)
    options = {"count": count, "sessions": numbers, "odd": odd}
    made = made_by("write_kemdy19", seed, version=VERSION, **options)
    rng = np.random.default_rng(seed)
    lines: list[_Line] = []
    raters = {}
    for session in numbers:
        raters[session] = [f"Eval{n:02}{'FM'[rng.integers(2)]}" for n in range(1, 11)]
        mine = each + (count % len(numbers) if session == numbers[0] else 0)
        lines += _session(rng, session, mine, raters[session], len(lines), odd)
    if not is_complete(root, made):
        with written_whole(root, made) as partial:
            for session in numbers:
                said = [line for line in lines if line.session == session]
                for person in "FM":
                    _write_annotation(partial, rng, session, person, said, raters[session], odd)
                _write_signals(partial, rng, session, said, odd)
            _write_files(partial, rng, lines, odd)
    return [u for line in lines for u in _planted(root, line, role, odd)]


def _session(
    rng: np.random.Generator, session: int, count: int, raters: Cells, before: int, odd: bool
) -> list[_Line]:
    parts = _PARTS.get(session, ("script01", "script02")) if odd else ("script01", "impro01")
    lines = []
    clock = dict.fromkeys(parts, 5.0)
    for turn in range(count):
        part, sex = parts[turn // 2 % 2], "FM"[turn % 2]
        name = f"Sess{session:02}_{part}_{sex}{turn // 4 + 1:03}"
        start = round(clock[part] + float(rng.uniform(0.2, 2)), 3)
        clock[part] = end = round(start + float(rng.uniform(0.7, 9)), 3)
        raw, text = _transcript(rng, (before + turn) % 10 if odd else 0)
        line = _Line(name, start, end, raw, text)
        if odd and name == _NO_TEXT:
            line.raw = line.text = None
        for person in "FM":
            line.rated[person] = _ratings(rng, f"Sess{session:02}{person}", raters)
        lines.append(line)
    if odd:  # so that a small corpus has a tie, too
        line = lines[int(rng.integers(len(lines)))]
        for person, emotions in (("F", ("sad", "happy")), ("M", ("disgust", "angry", "neutral"))):
            whose = f"Sess{session:02}{person}"
            line.rated[person] = _ratings(rng, whose, raters, (emotions * 5)[: 3 * len(emotions)])
    return lines


def _ratings(
    rng: np.random.Generator, person: str, raters: Cells, emotions: Sequence[str] | None = None
) -> _Rated:
    """Draw ten ratings around one emotion, or those of ``emotions`` and neutral ones."""
    if emotions is None:
        kind = _EMOTIONS[int(rng.integers(7))]
        drawn = [kind if rng.random() < 0.6 else _EMOTIONS[int(n)] for n in rng.integers(0, 7, 10)]
    else:
        others = [e for e in _EMOTIONS if e not in emotions]
        drawn = [*emotions, *others][:10]
        drawn += ["fear"] * (10 - len(drawn))
        drawn = [str(e) for e in rng.permutation(drawn)]
    values = rng.integers(1, 6, (10, 2))
    votes = {e: float(drawn.count(e)) for e in _EMOTIONS if e in drawn}
    top = [e for e in _TIE_ORDER if votes.get(e) == max(votes.values())]
    valence, arousal = (round(float(mean), 1) for mean in values.mean(axis=0))
    cells = [";".join(top), f"{valence:g}", f"{arousal:g}"]
    rated = []
    for name, emotion, (v, a) in zip(raters, drawn, values.tolist(), strict=True):
        cells += [emotion, str(v), str(a)]
        rated.append(Rating(name, emotion, float(a), float(v)))
    tied = len(top) > 1
    return _Rated(
        person,
        cells,
        None if tied else top[0],
        top[0] if tied else None,
        votes,
        valence,
        arousal,
        tuple(rated),
    )


def _transcript(rng: np.random.Generator, kind: int) -> tuple[bytes, str]:
    """Return the file of one transcript, and its text as it should be read."""
    words = draw_sentence(rng, float(rng.uniform(1.5, 4.5))).text
    odd = {
        1: (f"c/ {words} l/\r\n".encode(), words),
        2: (f"(그래+{words})\n".encode(), words),
        3: (f"({words}) N/ b/".encode(), words),
        4: (f"\ufeffo/ s/ {words}, 그렇지* 어+ 음/\n".encode(), f"{words}, 그렇지 어 음"),
        5: (words.encode("cp949"), words),
        6: (b"n/ u/\n", ""),
        7: ("네".encode("cp949") + b" \xff\n", "네 \ufffd"),
        8: (b"", ""),
    }
    return odd.get(kind, (f"{words}\n".encode(), words))


def _planted(root: Path, line: _Line, role: Role, odd: bool) -> Iterable[Utterance]:
    sex = line.id[-4]
    other = {"F": "M", "M": "F"}[sex]
    persons = {"speaker": sex, "listener": other, "both": "FM"}[role]
    there = _signals(line.session, odd)
    has_audio = not (odd and line.id == _NO_AUDIO)
    for person in persons:
        rated = line.rated[person]
        whose = f"Sess{line.session:02}{person}"
        extra: dict[str, str | float] = {
            "script": line.id.split("_")[1],
            "rated": whose,
            "recording_start": line.start,
            "recording_end": line.end,
        }
        if rated.first is not None:
            extra["first"] = rated.first
        files = {kind: str(_signal_file(root, kind, whose)) for kind in there}
        letters = re.sub(r"[\W_]+", "", line.text or "").casefold()
        yield Utterance(
            id=f"{line.id}_{person}" if role == "both" else line.id,
            corpus="kemdy19",
            speaker=f"Sess{line.session:02}{sex}",
            session=line.id[:6],
            sentence=letters or line.id,
            speech=Speech(str(root / line.folder / f"{line.id}.wav")) if has_audio else None,
            text=line.text,
            signals=files or None,
            emotion=rated.emotion,
            votes=rated.votes,
            arousal=rated.arousal,
            valence=rated.valence,
            raters=rated.raters,
            sex="female" if sex == "F" else "male",
            extra=extra,
        )


def _signals(session: int, odd: bool) -> tuple[str, ...]:
    if not odd or session not in (6, 7):
        return ("ECG", "EDA", "TEMP")
    return ("ECG",) if session == 6 else ()


def _signal_file(root: Path, kind: str, whose: str) -> Path:
    return root / kind / f"Session{whose[4:6]}" / "Original" / f"{whose}.csv"


def _write_annotation(
    root: Path,
    rng: np.random.Generator,
    session: int,
    person: str,
    lines: Sequence[_Line],
    raters: Cells,
    odd: bool,
) -> None:
    """Write the annotation of one person: two header rows, 43 columns, valence before arousal."""
    above = ["Numb", "Wav", "", "ECG", "", "E4-EDA", "", "E4-TEMP", "", "Segment ID"]
    above += ["Total Evaluation", "", ""] + [c for name in raters for c in (name, "", "")]
    below = ["", *["start", "end"] * 4, "", *["Emotion", "Valence", "Arousal"] * 11]
    rows = [_row(rng, line, person, n, odd) for n, line in enumerate(lines, start=1)]
    if odd:
        if session == 6 and person == "F":  # the second one says something else
            rows.append([*rows[0][:10], "fear", "1", "1", *["fear", "1", "1"] * 10])
        _plant_wrong_ids(rows, session, person)
    windows = odd and session % 4 == 0
    ending = "\r\n" if windows else "\n"
    path = root / "annotation" / f"Session{session:02}_{person}_res.csv"
    path.parent.mkdir(exist_ok=True)
    text = "".join(",".join(cells) + ending for cells in (above, below, *rows))
    path.write_bytes(text.encode("utf-8-sig" if windows else "utf-8"))


def _row(rng: np.random.Generator, line: _Line, person: str, place: int, odd: bool) -> Cells:
    there = _signals(line.session, odd)
    edges: Cells = []
    for kind, scale in (("ECG", 0.1), ("EDA", 4.0), ("TEMP", 34.0)):
        absent = kind not in there or (odd and place % 7 == 3)
        pair = rng.normal(scale, 0.1 * scale, 2)
        edges += ["", ""] if absent else [f"{value:.6f}" for value in pair]
    name, cells = line.id, list(line.rated[person].cells)
    if odd and place == 2:
        name = f" {name.lower()} "
    if odd and place == 4:
        name, cells[3] = f"{name} ", f" {cells[3].title()} "
    return [str(place), str(line.start), str(line.end), *edges, name, *cells]


def _plant_wrong_ids(rows: list[Cells], session: int, person: str) -> None:
    blank = [""] * 43

    def at(place: int, cells: Cells) -> None:
        rows.extend([blank] * (place - len(rows)))
        rows.insert(place, cells)

    if session == 3 and person == "F":
        row = next(row for row in rows if row[9] == _REALLY)
        rows.remove(row)
        at(345, [*row[:9], _WRITTEN, *row[10:]])
    elif session == 9 and person == "F":
        # The rows that count stand behind them.
        right = {row[9].strip().casefold(): row for row in rows}
        for name in _MISPLACED.values():
            rows.remove(right[name.casefold()])
        for place, name in _MISPLACED.items():
            row = right[name.casefold()]
            at(place, [*row[:9], name, "fear", "1", "1", *["fear", "1", "1"] * 10])
            rows.append(row)
    elif session == 4:
        at(467, ["467", *rows[0][1:9], _NOBODY[person], *rows[0][10:]])


def _write_signals(
    root: Path, rng: np.random.Generator, session: int, lines: Sequence[_Line], odd: bool
) -> None:
    """Write one file per person and signal, tagged with both speakers' utterances."""
    for kind in _signals(session, odd):
        said = [
            Heard(u.id, u.start, u.end, kind == "ECG" or not (odd and u.id.startswith(_UNTAGGED)))
            for u in lines
        ]
        for person in "FM":
            path = _signal_file(root, kind, f"Sess{session:02}{person}")
            path.parent.mkdir(parents=True, exist_ok=True)
            if odd and (session, kind, person) == (9, "TEMP", "M"):
                path.write_bytes(b"")
            else:
                write_recordings(path, rng, kind, said, odd)


def _write_files(root: Path, rng: np.random.Generator, lines: Sequence[_Line], odd: bool) -> None:
    for line in lines:
        home = root / line.folder
        home.mkdir(parents=True, exist_ok=True)
        if line.raw is not None:
            (home / f"{line.id}.txt").write_bytes(line.raw)
        if not (odd and line.id == _NO_AUDIO):
            _write_noise(home / f"{line.id}.wav", rng)
    if not odd:
        return
    first = lines[0]
    home = root / first.folder
    _write_noise(home / "converted" / f"{first.id}.wav", rng)
    (home / "converted" / f"{first.id}.txt").write_text("다른 말\n", encoding="utf-8")
    _write_noise(home / f"{first.id[:-3]}999.wav", rng)  # nobody rated it
    (home / f"._{first.id}.wav").write_bytes(b"left over from an archive")
    (root / "wav" / "file_list.pkl").write_bytes(b"left over from somebody's notebook")
    (root / "annotation" / "._Session01_F_res.csv").write_bytes(b"\x00\x05")


def _write_noise(path: Path, rng: np.random.Generator) -> None:
    count = int(rng.uniform(0.25, 0.35) * SAMPLE_RATE)
    write_audio(path, rng.normal(0, 0.1, count).astype(np.float32), SAMPLE_RATE)

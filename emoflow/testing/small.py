"""Small corpora in other layouts, with speech that a net can learn from."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from emoflow.errors import ConfigError
from emoflow.testing.folders import check_size, is_complete, made_by, write_audio, written_whole
from emoflow.testing.speech import Floats, Manner, Voice, draw_voice, synthesise
from emoflow.testing.words import draw_sentence
from emoflow.types import SAMPLE_RATE

__all__ = ["write_emotiontts", "write_manifest", "write_ravdess"]

_TTS_BLOCKS = ("neutral", "happy", "sad", "angry")
"""Emotions by hundreds of the file number: 1-100, 101-200, 201-300, 301-400."""
_VALENCE = {"neutral": 3.0, "happy": 4.8, "sad": 1.4, "angry": 1.3, "surprise": 3.6}
_MANNERS = {
    "neutral": Manner(2.8),
    "calm": Manner(1.9, breath=0.3),
    "happy": Manner(3.9, smile=1.0),
    "sad": Manner(1.5, fall=4.0, breath=0.8),
    "angry": Manner(4.7, fall=4.0),
    "fear": Manner(3.9, tremor=1.0, breath=0.6),
    "disgust": Manner(2.9, smile=-1.0, fall=6.0),
    "surprise": Manner(4.2, surprise=1.0),
}
_RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
_STATEMENTS = ("Kids are talking by the door.", "Dogs are sitting by the door.")


def write_emotiontts(
    folder: str | Path,
    *,
    speakers: Sequence[str] = ("nea", "nek", "ema"),
    utterances_per_emotion: int = 3,
    seed: int = 0,
) -> Path:
    """Write a small corpus in the layout of emotiontts_open_db and return it.

    ``{emotional-to-emotional,plain-to-emotional}/<speaker>/{wav,script,transcript}/``, flac at
    22.05 kHz, text as UTF-8 with a byte order mark. As in the real one, speakers ``ne*`` say a
    sentence in one emotion and share their sentences; ``em*`` say the same neutral sentences in
    all four.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    speakers
        ``ne?`` or ``em?``; the letters a to e are women, f and on are men.
    utterances_per_emotion
        1 to 100.
    seed
        Another seed gives other voices and sentences.

    Raises
    ------
    ConfigError
        If a size or a speaker's name is not what the layout has.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    check_size("utterances_per_emotion", utterances_per_emotion, 1, 100)
    for name in speakers:
        if len(name) != 3 or name[:2] not in ("ne", "em") or not "a" <= name[2] <= "z":
            raise ConfigError(f"speaker {name!r}", "name them ne? or em?, such as nea and emb")
    root = Path(folder)
    made = made_by("write_emotiontts", seed, speakers=list(speakers), count=utterances_per_emotion)
    if is_complete(root, made):
        return root
    rng = np.random.default_rng(seed)
    count = utterances_per_emotion
    plain = [draw_sentence(rng, 3.0).text for _ in range(count)]
    acted = {e: [draw_sentence(rng, _VALENCE[e]).text for _ in range(count)] for e in _TTS_BLOCKS}
    with written_whole(root, made) as partial:
        for name in speakers:
            kind = "emotional-to-emotional" if name.startswith("ne") else "plain-to-emotional"
            voice = draw_voice(rng, "female" if name[2] <= "e" else "male")
            home = partial / kind / name
            for block, emotion in enumerate(_TTS_BLOCKS):
                texts = acted[emotion] if name.startswith("ne") else plain
                for number, text in enumerate(texts, start=1 + 100 * block):
                    stem = f"{name}{number:05d}"
                    wave = _at(synthesise(text, voice, _MANNERS[emotion], rng), 22_050)
                    write_audio(home / "wav" / f"{stem}.flac", wave, 22_050)
                    for part in ("script", "transcript"):
                        (home / part).mkdir(exist_ok=True)
                        (home / part / f"{stem}.txt").write_text(text + "\n", encoding="utf-8-sig")
    return root


def write_ravdess(
    folder: str | Path,
    *,
    actors: Sequence[int] = (1, 2, 3, 4),
    repetitions: Literal[1, 2] = 1,
    audio: Literal["wav", "flac"] = "wav",
    rate: int = SAMPLE_RATE,
    seed: int = 0,
) -> Path:
    """Write a small corpus in the layout of RAVDESS (speech) and return it.

    ``Actor_12/03-01-06-01-02-01-12.wav``: two statements, eight emotions, two intensities but
    one for neutral: 30 files per actor and repetition. Odd actors are men.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    actors
        Numbers from 1 to 99 (the real corpus has 24).
    repetitions
        The real corpus has 2.
    audio
        Ending and format of the files.
    rate
        Sampling rate in Hz, 8,000 or more.
    seed
        Another seed gives other voices.

    Raises
    ------
    ConfigError
        If a number is not what the layout has.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    for actor in actors:
        check_size("actor", actor, 1, 99)
    check_size("repetitions", repetitions, 1, 2)
    check_size("rate", rate, 8_000, 192_000)
    root = Path(folder)
    made = made_by(
        "write_ravdess", seed, actors=list(actors), count=repetitions, audio=audio, rate=rate
    )
    if is_complete(root, made):
        return root
    with written_whole(root, made) as partial:
        for actor in actors:
            rng = np.random.default_rng([seed, actor])
            voice = draw_voice(rng, "male" if actor % 2 else "female")
            for code, emotion in enumerate(_RAVDESS, start=1):
                for strength in (1,) if emotion == "neutral" else (1, 2):
                    manner = _stronger(_MANNERS[emotion], strength)
                    for said, statement in enumerate(_STATEMENTS, start=1):
                        for again in range(1, repetitions + 1):
                            name = f"03-01-{code:02d}-{strength:02d}-{said:02d}-{again:02d}"
                            wave = _at(synthesise(statement, voice, manner, rng), rate)
                            path = partial / f"Actor_{actor:02d}" / f"{name}-{actor:02d}.{audio}"
                            write_audio(path, wave, rate)
    return root


def write_manifest(
    folder: str | Path,
    *,
    kind: Literal["csv", "jsonl", "parquet"] = "csv",
    speakers: int = 4,
    utterances_per_speaker: int = 10,
    cut: bool = False,
    seed: int = 0,
) -> Path:
    """Write a small corpus of one's own, as a manifest beside its speech; return the manifest.

    Columns: id, speech (relative to the manifest), start, end, text, speaker, session,
    sentence, emotion, arousal, valence (both 1 to 5), sex, age, split, and ``microphone``, which
    emoflow does not know. What is absent is empty. Speech tells arousal, words tell valence,
    emotions follow from both.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    kind
        Format and ending of ``manifest.*``.
    speakers, utterances_per_speaker
        At least 1 each; two speakers make a session. The last speakers are ``test`` in the
        column ``split``, those before them ``validation``, a fifth each and at least one.
    cut
        Whether one long file per speaker holds all utterances, between ``start`` and ``end``.
    seed
        Another seed gives other voices and sentences.

    Raises
    ------
    ConfigError
        If a size is below 1 or the kind is unknown.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    if kind not in ("csv", "jsonl", "parquet"):
        raise ConfigError(f"kind is {kind!r}", "give csv, jsonl or parquet")
    check_size("speakers", speakers, 1, 9_999)
    check_size("utterances_per_speaker", utterances_per_speaker, 1, 9_999)
    root = Path(folder)
    sizes = {"speakers": speakers, "count": utterances_per_speaker, "cut": cut}
    made = made_by("write_manifest", seed, kind=kind, **sizes)
    if is_complete(root, made):
        return root / f"manifest.{kind}"
    rng = np.random.default_rng(seed)
    with written_whole(root, made) as partial:
        rows: list[dict[str, Any]] = []
        for number in range(speakers):
            sex: Literal["female", "male"] = "male" if number % 2 else "female"
            facts = {
                "speaker": f"speaker{number + 1:02d}",
                "session": f"session{number // 2 + 1:02d}",
                "sex": sex,
                "age": f"{20 + 10 * (number % 4)}s",
                "split": _split(number, speakers),
                "microphone": "desk" if number % 3 else "head",
            }
            rows += _spoken(partial, draw_voice(rng, sex), facts, utterances_per_speaker, cut, rng)
        known = {text: n for n, text in enumerate(dict.fromkeys(row["text"] for row in rows))}
        for row in rows:
            row["sentence"] = f"sentence{known[row['text']] + 1:04d}"
        _write_rows(partial / f"manifest.{kind}", rows)
    return root / f"manifest.{kind}"


_COLUMNS = (
    "id", "speech", "start", "end", "text", "speaker", "session", "sentence", "emotion",
    "arousal", "valence", "sex", "age", "split", "microphone",
)  # fmt: skip


def _spoken(
    root: Path,
    voice: Voice,
    facts: dict[str, str],
    count: int,
    cut: bool,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Write one speaker's speech and return the rows."""
    places = {"neutral": 2.8, "happy": 4.0, "sad": 1.6, "angry": 4.5, "surprise": 4.4}
    rows: list[dict[str, Any]] = []
    waves: list[Floats] = []
    clock = 0
    for number in range(count):
        emotion = tuple(places)[(number + int(rng.integers(2))) % len(places)]
        arousal = float(np.clip(rng.normal(places[emotion], 0.3), 1, 5))
        sentence = draw_sentence(rng, float(np.clip(rng.normal(_VALENCE[emotion], 0.3), 1, 5)))
        manner = Manner(arousal=arousal, surprise=float(emotion == "surprise"))
        wave = synthesise(sentence.text, voice, manner, rng)
        stem = f"{facts['speaker']}_{number + 1:03d}"
        file = f"speech/{facts['speaker'] if cut else stem}.wav"
        row: dict[str, Any] = dict.fromkeys(_COLUMNS)
        row |= facts
        row |= {"id": stem, "speech": file, "text": sentence.text, "emotion": emotion}
        row |= {"arousal": round(arousal, 2), "valence": round(sentence.valence, 2)}
        if cut:
            end = clock + len(wave)
            row |= {"start": clock / SAMPLE_RATE, "end": end / SAMPLE_RATE}
            clock = end
            waves.append(wave)
        else:
            write_audio(root / file, wave, SAMPLE_RATE)
        rows.append(row)
    if cut:
        write_audio(root / rows[0]["speech"], np.concatenate(waves), SAMPLE_RATE)
    return rows


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        lines = (json.dumps({k: v for k, v in r.items() if v is not None}, ensure_ascii=False)
                 for r in rows)  # fmt: skip
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def _split(number: int, speakers: int) -> str:
    held = max(speakers // 5, 1)
    if speakers >= 2 and number >= speakers - held:
        return "test"
    return "validation" if speakers >= 3 and number >= speakers - 2 * held else "train"


def _stronger(manner: Manner, strength: int) -> Manner:
    """Return the manner pushed outwards for RAVDESS's strong intensity."""
    if strength == 1:
        return manner
    arousal = float(np.clip(3 + 1.25 * (manner.arousal - 3), 1, 5))
    return Manner(arousal, manner.surprise, manner.smile, manner.tremor, manner.fall, manner.breath)


def _at(wave: Floats, rate: int) -> npt.NDArray[np.float32]:
    """Return the wave at another sampling rate."""
    if rate == SAMPLE_RATE:
        return wave
    common = int(np.gcd(rate, SAMPLE_RATE))
    return np.asarray(resample_poly(wave, rate // common, SAMPLE_RATE // common), np.float32)

"""A small corpus in the layout of IEMOCAP, with noise in place of speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emoflow.testing.folders import made_by, write_audio, written_whole
from emoflow.types import SAMPLE_RATE, Rating, Speech, Utterance

__all__ = ["write_iemocap"]

_HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
_CODES: dict[str, tuple[str | None, str]] = {
    "neu": ("neutral", "Neutral"),
    "hap": ("happy", "Happiness"),
    "sad": ("sad", "Sadness"),
    "ang": ("angry", "Anger"),
    "exc": ("excited", "Excited"),
    "fru": ("frustrated", "Frustration"),
    "sur": ("surprise", "Surprise"),
    "fea": ("fear", "Fear"),
    "dis": ("disgust", "Disgust"),
}
_OTHER = (None, "Other")
_DIALOGUES = ("Ses0{0}F_impro01", "Ses0{0}M_script01_1")
_WORDS = ("well", "listen", "they", "told", "me", "nothing", "about", "the", "form", "again")


def write_iemocap(
    folder: str | Path, *, count: int = 60, seed: int = 0, odd: bool = True
) -> list[Utterance]:
    """Write a small corpus in the layout of IEMOCAP and return the utterances in it.

    ``Session1/dialog/EmoEvaluation/Ses01F_impro01.txt``, ``Session1/dialog/transcriptions/`` and
    ``Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav``: five sessions with an
    improvised and a scripted dialogue each.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Utterances, a multiple of 10: a tenth in each dialogue, woman and man by turns.
    seed
        Another seed gives other words, emotions, ratings and places of oddities.
    odd
        Whether there are emotions without agreement or with another name, raters who choose two,
        numbers that are missing or above 5, utterances without speech or transcript, speech
        without an evaluation, evaluations without either, repeated evaluations, lines that
        belong to no utterance, folders with each rater's own files, and hidden files.

    Raises
    ------
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    root = Path(folder)
    rng = np.random.default_rng(seed)
    planted: list[Utterance] = []
    made = made_by("write_iemocap", seed, count=count, odd=odd)
    with written_whole(root, made) as partial:
        for session in range(1, 6):
            home = Path(f"Session{session}")
            for pattern in _DIALOGUES:
                dialogue = pattern.format(session)
                evaluation, transcript = _HEADER, ""
                for turn in range(count // 10):
                    name = f"{dialogue}_{'FM'[turn % 2]}{turn // 2:03}"
                    wav = home / "sentences" / "wav" / dialogue / f"{name}.wav"
                    lines, utterance = _turn(name, session, turn, rng, odd)
                    evaluation += lines
                    if odd and rng.random() < 0.1:
                        utterance = utterance.with_(text=None, sentence=name)
                    else:
                        times = f"[{turn:03}.0000-{turn:03}.9000]"
                        transcript += f"{name} {times}: {utterance.text}\n"
                    if utterance.text is None or not odd or rng.random() < 0.9:
                        write_audio(partial / wav, _noise(rng), SAMPLE_RATE)
                        utterance = utterance.with_(speech=Speech(str(root / wav)))
                    planted.append(utterance)
                if odd:
                    evaluation += _turn(f"{dialogue}_F000", session, 90, rng, odd)[0]
                    evaluation += _turn(f"{dialogue}_F990", session, 91, rng, odd)[0]
                    transcript += f"{dialogue}_MXX0 [90.0000-91.0000]: Unsegmented.\nM: Hm.\n"
                    stray = partial / wav.with_name(f"{dialogue}_M991.wav")
                    write_audio(stray, _noise(rng), SAMPLE_RATE)
                    stray.with_name(f"._{dialogue}_F000.wav").write_bytes(b"hidden")
                for kind, text in (("EmoEvaluation", evaluation), ("transcriptions", transcript)):
                    place = partial / home / "dialog" / kind / f"{dialogue}.txt"
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(text.encode("cp1252"))
                    if odd:
                        place.with_name(f"._{dialogue}.txt").write_bytes(b"\0hidden\xff")
                        own = place.parent / "Categorical" / f"{dialogue}_e2_cat.txt"
                        own.parent.mkdir(exist_ok=True)
                        own.write_text(f"{dialogue}_F000 :Neutral state; ()\n", encoding="utf-8")
    return planted


def _turn(
    name: str, session: int, turn: int, rng: np.random.Generator, odd: bool
) -> tuple[str, Utterance]:
    """Return an utterance's block of an evaluation file, and the utterance without speech."""
    code = str(rng.choice(list(_CODES), p=[0.2, 0.15, 0.15, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05]))
    chosen = [[_CODES[code]], [_CODES[code]], [_CODES[str(rng.choice(list(_CODES)))]]]
    kind = rng.random() if odd else 1.0
    if kind < 0.15:
        code, chosen = "xxx", [[_CODES["neu"]], [_CODES["exc"]], [_OTHER]]
    elif kind < 0.25:
        code, chosen = "oth", [[_OTHER], [_OTHER], [_CODES["fea"]]]
    elif kind < 0.5:
        chosen[2] = [_CODES["sad"], _CODES["dis"]]
    marks = {rater: rng.integers(1, 6, 3).tolist() for rater in ("E3", "E4")}
    if odd and rng.random() < 0.2:
        marks["E3"], marks["E4"][0] = [6, *marks["E3"][1:]], 5
    valence, arousal, dominance = np.mean(list(marks.values()), axis=0).tolist()
    blank = odd and rng.random() < 0.2
    marks["F1" if name[-4] == "F" else "M1"] = own = [4, 2, 3]
    lines = [
        f"[{turn}.0000 - {turn}.9000]\t{name}\t{code}\t"
        f"[{valence:.4f}, {arousal:.4f}, {dominance:.4f}]"
    ]
    for rater, labels in zip(("E2", "E3", "E4"), chosen, strict=True):
        lines.append(f"C-{rater}:\t{'; '.join(spelt for _, spelt in labels)};\t(quite (sure))")
    lines.append(f"C-{name[-4]}1:\tNeutral state;\t()")
    for rater, (val, act, dom) in marks.items():
        cell = "" if blank and rater == "E4" else act
        lines.append(f"A-{rater}:\tval {val}; act {cell}; dom  {dom};\t()")
    votes: dict[str, float] = {}
    for labels in chosen:
        for emotion, _ in labels:
            if emotion is not None:
                votes[emotion] = votes.get(emotion, 0.0) + 1 / len(labels)
    single = {
        rater: labels[0][0] if len(labels) == 1 else None
        for rater, labels in zip(("E2", "E3", "E4"), chosen, strict=True)
    }
    words = [str(word) for word in rng.choice(_WORDS, int(rng.integers(3, 9)))]
    text = f"{' '.join(words).capitalize()} \u2014 it\u2019s {turn}. [LAUGHTER]"
    extra = {
        "dialogue": name.rpartition("_")[0],
        "recording_start": float(turn),
        "recording_end": turn + 0.9,
        "dominance": dominance,
        "self_emotion": "neutral",
        "self_arousal": float(own[1]),
        "self_valence": float(own[0]),
    }
    return "\n".join(lines) + "\n\n", Utterance(
        id=name,
        corpus="iemocap",
        speaker=f"Ses0{session}{name[-4]}",
        session=f"Session{session}",
        sentence="".join(c for c in text.casefold() if c.isalnum()),
        text=text,
        emotion=_CODES[code][0] if code in _CODES else None,
        votes=votes or None,
        arousal=arousal,
        valence=valence if valence <= 5 else None,
        raters=(
            Rating("E2", single["E2"]),
            Rating("E3", single["E3"], float(marks["E3"][1]), _usable(marks["E3"][0])),
            Rating("E4", single["E4"], None if blank else marks["E4"][1], float(marks["E4"][0])),
        ),
        sex="female" if name[-4] == "F" else "male",
        extra=extra,
    )


def _usable(mark: int) -> float | None:
    return float(mark) if mark <= 5 else None


def _noise(rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return rng.normal(0, 0.1, int(rng.integers(4000, 5600))).astype(np.float32)

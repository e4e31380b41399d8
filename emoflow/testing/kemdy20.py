"""The demo corpus: KEMDy20's layout, oddities included, filled with synthetic content."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from emoflow.errors import ConfigError
from emoflow.testing.e4 import Spoken, foreign_id, write_signals
from emoflow.testing.folders import is_complete, made_by, write_audio, written_whole
from emoflow.testing.raters import (
    EMOTIONS,
    MARKERS,
    RATERS,
    Ints,
    Moods,
    RaterPanel,
    Ratings,
    ceiling,
    draw_moods,
)
from emoflow.testing.speech import Manner, Voice, draw_voice, synthesise
from emoflow.testing.words import Sentence, draw_sentence
from emoflow.types import SAMPLE_RATE

__all__ = ["session_numbers", "write_demo_corpus"]

VERSION = 2
"""Raised whenever the same seed gives other content, so that old folders are replaced."""
SCRIPTS = 6
_ODD = ("silent", "lossy", "empty", "disgust", "tie", "utf8", "crlf")
"""What befalls one utterance each, as far as there are enough of them."""
_SPELLING = {"disgust": "disqust"}
_TIE_ORDER = ("neutral", "happy", "surprise", "angry", "sad", "disgust", "fear")


def session_numbers(sessions: int) -> list[int]:
    """Return which of KEMDy20's 40 sessions a demo of that size has; Session17 always."""
    numbers = sorted({int(n) for n in np.linspace(1, 40, sessions).round()})
    if 17 not in numbers:
        nearest = min(numbers, key=lambda n: (abs(n - 17), n))
        numbers[numbers.index(nearest)] = 17
    return sorted(numbers)


def write_demo_corpus(
    folder: str | Path,
    *,
    sessions: int = 12,
    utterances_per_speaker: int = 56,
    seed: int = 0,
    planted_signals: bool = True,
) -> Path:
    """Write a synthetic corpus in KEMDy20's exact layout, with its oddities, and return it.

    Speech is synthesised (16 kHz, mono, PCM16, about 1 to 4 s) and tells arousal; the words
    (Korean, cp949) tell valence; the biosignals tell, dimly, how tense and how warm a body is.
    Emotions follow from all of it, most from speech and words, so that a classifier needs both.
    Ten simulated raters disagree. ``ceiling.json`` beside ``annotation`` says what an ideal
    observer reaches against these labels: ``{subset: {metric: score}}`` for all seven subsets of
    speech, text and signals (see :func:`emoflow.testing.raters.ceiling`).

    What KEMDy20's loaders must survive is in it: ties, ``disqust``, a silent wav, a transcript
    that cannot be decoded, one that is empty without its tags, ``Sess42`` ids in session 17,
    byte order marks, CRLF, stray spaces and case in ids, missing, empty, header-only and ragged
    signal files, a stray file below ``wav``, missing session numbers.

    Parameters
    ----------
    folder
        Where to write. New, empty, or an earlier demo corpus: one with the same settings is
        kept as it is, one with others is replaced. It appears whole or not at all.
    sessions
        1 to 40; two speakers each. Session17 is always one of them.
    utterances_per_speaker
        At least 1, at most 999 for each of the six scripts.
    seed
        Another seed gives other speakers, sentences and raters. The same gives the same bytes.
    planted_signals
        Whether the signals show the body. If not, they are all of a body at its mean, and nothing
        but they and the ceilings of subsets with signals is different.

    Raises
    ------
    ConfigError
        If a size is out of range.
    CorpusError
        If ``folder`` holds files that were not written here.
    StorageError
        If the disk is full or the folder cannot be written to.
    """
    if not 1 <= sessions <= 40:
        raise ConfigError(f"sessions is {sessions}", "KEMDy20 has 40: give 1 to 40")
    if not 1 <= utterances_per_speaker <= 999 * SCRIPTS:
        raise ConfigError(f"utterances_per_speaker is {utterances_per_speaker}", "give 1 to 5994")
    root = Path(folder)
    made = made_by(
        "write_demo_corpus",
        seed,
        version=VERSION,
        sessions=sessions,
        utterances_per_speaker=utterances_per_speaker,
        planted_signals=planted_signals,
    )
    if not is_complete(root, made):
        with written_whole(root, made) as partial:
            numbers = session_numbers(sessions)
            _write(partial, numbers, utterances_per_speaker, seed, planted_signals)
    return root


def _write(
    root: Path, numbers: list[int], per_speaker: int, seed: int, planted_signals: bool
) -> None:
    rng = np.random.default_rng([seed, VERSION])
    count = 2 * len(numbers) * per_speaker
    odd = dict(zip(rng.permutation(count).tolist(), _ODD, strict=False))
    moods, sentences = _contents(rng, count, odd)
    bodies = rng.standard_normal((2 * SCRIPTS * len(numbers), 2))
    moods = replace(moods, body=bodies[_recordings(len(numbers), per_speaker)])
    panel = RaterPanel.draw(rng)
    ratings = panel.rate(moods, rng)
    for row, kind in odd.items():  # so that even a small corpus has them
        if kind == "disgust":
            ratings.emotion[row, :7] = EMOTIONS.index("disgust")
        elif kind == "tie":
            ratings.emotion[row] = [EMOTIONS.index("neutral"), EMOTIONS.index("sad")] * 5

    lines: list[Spoken] = []
    for session in numbers:
        sexes: list[Literal["female", "male"]] = ["female", "male"]
        if session % 5 == 0:  # same-sex pairs exist
            sexes = ["female", "female"] if session % 10 else ["male", "male"]
        elif rng.random() < 0.5:
            sexes.reverse()
        voices = [draw_voice(rng, sex) for sex in sexes]
        names = [f"User{2 * session - 1 + n:03d}{sex[0].upper()}" for n, sex in enumerate(sexes)]
        lines += _write_session(
            root, rng, session, names, voices, per_speaker, moods, sentences, odd, len(lines)
        )
    (root / "annotation").mkdir()
    for session in numbers:
        rows = [row for row, line in enumerate(lines) if line.session == session]
        rows.sort(key=lambda row: (lines[row].script, lines[row].start))
        _write_annotation(root, session, rows, lines, ratings)
    if not planted_signals:
        lines = [replace(line, tension=0.0, warmth=0.0) for line in lines]
    shown = write_signals(root, np.random.default_rng([seed, VERSION, 1]), numbers, lines)
    (root / "wav" / "file_list.pkl").write_bytes(b"left over from somebody's notebook")
    heard = np.array([row for row in range(count) if odd.get(row) not in ("silent", "empty")], int)
    scores = ceiling(
        moods.take(heard), panel, ratings.take(heard), rng, (shown & planted_signals)[heard]
    )
    (root / "ceiling.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    (root / "README.md").write_text(
        _README.format(
            speakers=2 * len(numbers),
            utterances=count,
            seed=seed,
            signals=_PLANTED if planted_signals else _NOT_PLANTED,
        ),
        encoding="utf-8",
    )


def _contents(
    rng: np.random.Generator, count: int, odd: dict[int, str]
) -> tuple[Moods, list[Sentence]]:
    """Return moods and sentences; the valence that counts is the one the words really have."""
    moods = draw_moods(rng, count)
    for row, kind in odd.items():
        if kind == "disgust":
            moods.emotion[row], moods.word[row] = EMOTIONS.index("disgust"), 2
            moods.arousal[row], moods.valence[row], moods.sound[row] = 3.0, 1.6, False
    sentences = [
        draw_sentence(rng, valence, marker=MARKERS[word - 1] if word else None)
        for valence, word in zip(moods.valence, moods.word, strict=True)
    ]
    read = np.array([sentence.valence for sentence in sentences])
    return replace(moods, valence=read), sentences


def _recordings(sessions: int, per_speaker: int) -> list[int]:
    """Return of which recording (session, script, speaker) each utterance is, in their order."""
    return [
        2 * (session * SCRIPTS + script) + turn % 2
        for session in range(sessions)
        for script in range(SCRIPTS)
        for turn in range(_turns(script, per_speaker))
    ]


def _turns(script: int, per_speaker: int) -> int:
    """Return how many utterances two speakers have in a script, numbered from 0."""
    return 2 * len(range(script, per_speaker, SCRIPTS))


def _write_session(
    root: Path,
    rng: np.random.Generator,
    session: int,
    names: list[str],
    voices: list[Voice],
    per_speaker: int,
    moods: Moods,
    sentences: list[Sentence],
    odd: dict[int, str],
    row: int,
) -> list[Spoken]:
    """Write wavs and transcripts of one session; its utterances are rows ``row`` and on."""
    wavs = root / "wav" / f"Session{session:02d}"
    wavs.mkdir(parents=True)
    room = -60.0 + float(rng.normal(0, 1.0))
    lines: list[Spoken] = []
    for script in range(1, SCRIPTS + 1):
        clock = 20.0 + float(rng.uniform(0, 20))
        numbers = [0, 0]
        for turn in range(_turns(script - 1, per_speaker)):
            who = turn % 2
            numbers[who] += 1
            segment = f"Sess{session:02d}_script{script:02d}_{names[who]}_{numbers[who]:03d}"
            manner = Manner(arousal=float(moods.arousal[row]), surprise=float(moods.sound[row]))
            kind = odd.get(row, "")
            wave = synthesise(sentences[row].text, voices[who], manner, rng, noise_db=room)
            if kind == "silent":
                wave = np.zeros_like(wave)
            write_audio(wavs / f"{segment}.wav", wave, SAMPLE_RATE)
            (wavs / f"{segment}.txt").write_bytes(_transcript(rng, sentences[row].text, kind))
            seconds = len(wave) / SAMPLE_RATE
            felt = (moods.arousal[row], *moods.body[row].tolist())
            lines.append(Spoken(session, script, names[who], segment, clock, seconds, *felt))
            clock += seconds + float(rng.uniform(0.2, 1.5))
            row += 1
    return lines


def _transcript(rng: np.random.Generator, text: str, kind: str) -> bytes:
    """Return the file of one transcript: cp949, with the corpus's tags."""
    if kind == "empty":
        return b"N/ u/\n"
    words = text.split(" ")
    if rng.random() < 0.25:
        words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(["n/", "l/", "b/", "c/"])))
    if rng.random() < 0.06:
        spot = int(rng.integers(len(words)))
        words[spot] = words[spot] + str(rng.choice(["*", "+", "/"]))
    tagged = " ".join(words)
    if kind == "utf8":
        return b"\xef\xbb\xbf" + tagged.encode("utf-8") + b"\n"
    if kind == "lossy":
        return tagged.encode("cp949") + b" \xff\xff\n"
    return tagged.encode("cp949") + (b"\r\n" if kind == "crlf" else b"\n")


def _write_annotation(
    root: Path, session: int, rows: list[int], lines: list[Spoken], ratings: Ratings
) -> None:
    """Write one session's annotation: two header rows, 37 columns, valence before arousal."""
    heads = ["Numb", "WAV", " ", "Segment ID", "Total Evaluation", " ", " "]
    for name in RATERS:
        heads += [name, " ", " "]
    below = [" ", "start", "end", " ", *["Emotion", "Valence", "Arousal"] * (1 + len(RATERS))]
    votes = ratings.votes()
    arousals, valences = ratings.means()
    table = [heads, below]
    spoken = [_SPELLING.get(name, name) for name in EMOTIONS]
    for number, row in enumerate(rows, start=1):
        line = lines[row]
        top = [name for name in _TIE_ORDER if _wins(votes[row], name)]
        cells = [
            str(number + number // 9),  # numbers are missing where nobody spoke
            f"{line.start:.5f}",
            f"{line.start + line.seconds:.5f}",
            _noisy_id(line.segment, number),
            ";".join(_SPELLING.get(name, name) for name in top),
            f"{valences[row]:g}",
            f"{arousals[row]:g}",
        ]
        for rater in range(len(RATERS)):
            cells += [
                spoken[ratings.emotion[row, rater]],
                str(ratings.valence[row, rater]),
                str(ratings.arousal[row, rater]),
            ]
        table.append(cells)
    windows = session % 3 == 2
    text = ("\r\n" if windows else "\n").join(",".join(cells) for cells in table)
    path = root / "annotation" / f"Sess{session:02d}_eval.csv"
    encoding = "utf-8-sig" if windows else "utf-8"
    path.write_bytes((text + ("\r\n" if windows else "\n")).encode(encoding))


def _wins(votes: Ints, name: str) -> bool:
    return bool(votes[EMOTIONS.index(name)] == votes.max())


def _noisy_id(segment: str, number: int) -> str:
    """Return the id as the annotation has it: session 17 carries another's, some are untidy."""
    segment = foreign_id(segment)
    if number % 50 == 7:
        return f" {segment} "
    if number % 50 == 23:
        return segment.upper()
    return segment


_PLANTED = """\
skin conductance and heartbeats show, behind what differs between people and
  recordings, how tense a body is; skin temperature shows how warm it is. Both stay as they are
  throughout a recording."""
_NOT_PLANTED = "they show nothing of what the raters saw."
_README = """\
# A synthetic demo corpus

Written by `emoflow.testing.write_demo_corpus` (seed {seed}): {utterances} utterances by
{speakers} speakers who do not exist, in the folder layout of KEMDy20, for trying things out and
for tests. **None of it is KEMDy20**, nobody spoke, nobody was recorded, nobody rated; no score
on it says anything about people.

- Speech: a harmonic source, formants, noise and prosody. Pitch, energy, tempo and brightness
  rise with arousal; voices and rooms differ.
- Words: Korean phrases put together at random. They carry valence; nouns carry none.
- Biosignals: {signals}
- Labels: ten simulated raters, with biases and noise, judge what speech, words and body reveal.
  Emotions need speech and words, and a body's state helps; arousal and valence know nothing of it.
- `ceiling.json`: what an observer who knows exactly what speech, text, signals, or several of them
  reveal would score against these labels, over the whole corpus, for the emotions neutral, sad,
  happy, surprise and angry, and for mean arousal and valence.
- The layout's known oddities are in it on purpose (a silent wav, broken transcripts, ids of
  another session, missing signals): a loader has to survive them.
"""

"""Small copies of the acted corpora ESD, EmoDB and CREMA-D: real names, noise for speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from emoflow.testing.folders import check_size, is_complete, made_by, write_audio, written_whole
from emoflow.types import SAMPLE_RATE, Speech, Utterance

__all__ = ["write_cremad", "write_emodb", "write_esd"]

_NOISE = b"noise"
_SILENCE = b"silence"
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 64000\n"
_JUNK = b"\x00\x05\x16\x07 what a Mac leaves behind"

_ESD = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
_ESD_CHINESE = ("中立", "生气", "快乐", "伤心", "惊喜")
_ESD_MEN = (4, 5, 6, 8, 10, 11, 12, 13, 14, 20)
_ESD_ENCODINGS = (
    ("gb2312", (1, 2, 4, 5, 9), 1),
    ("utf-16", (3, 6, 7, 8, 10), 1),
    ("utf-8", (11, 15, 20), 2),
    ("utf-16", (12, 13, 14, 18, 19), 2),
    ("latin-1", (16, 17), 2),
)
_ENGLISH_WORDS = (
    ("The old", "A happy", "My café's", "Every", "That naïve"),
    ("fisherman", "waiter", "neighbour", "child", "sailor"),
    ("sees", "finds", "paints", "keeps"),
    ("the garden.", "nine eggs!", "a house by the sea?", "it, I think.", "what is sad"),
)
_CHINESE_WORDS = (
    ("我们", "老师", "他的朋友", "那只猫"),
    ("昨天", "常常", "刚刚", "明天"),
    ("看见了", "喜欢", "画了", "想起"),
    ("大海。", "那座山，", "一本书！", "春天"),
)

_EMODB_MEN = ("03", "10", "11", "12", "15")
_EMODB_WOMEN = ("08", "09", "13", "14", "16")
_EMODB_AGES = {
    "03": "31", "08": "34", "09": "21", "10": "32", "11": "26",
    "12": "30", "13": "32", "14": "35", "15": "25", "16": "31",
}  # fmt: skip
_EMODB = {
    "W": "angry", "L": "boredom", "E": "disgust", "A": "fear",
    "F": "happy", "T": "sad", "N": "neutral",
}  # fmt: skip
_EMODB_TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}

_CREMAD = {
    "ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral",
    "SAD": "sad",
}  # fmt: skip
_CREMAD_LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
_CREMAD_TEXTS = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}


def write_esd(
    folder: str | Path,
    *,
    count: int = 3,
    seed: int = 0,
    odd: bool = True,
    language: Literal["english", "chinese", "both"] = "english",
) -> list[Utterance]:
    """Write a small corpus in the layout of ESD and return what a loader finds in it.

    ``0011/Angry/0011_000351.wav`` and ``0011/0011.txt``; two Chinese and six English speakers,
    whose transcripts are in GB2312, UTF-16, UTF-8 and Latin-1.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Sentences per speaker, 1 to 350, each in five emotions. The first three are one of
        ESD's own validation, test and training split.
    seed
        Another seed gives other speakers, sentences and noise.
    odd
        Whether ESD's oddities are in it: blank and broken lines, spaces for tabs, lines that are
        missing, come twice or name another emotion, folders for the split, a copy, a file in
        another emotion's folder, what a Mac leaves behind.
    language
        Whose utterances are returned; all are written.

    Raises
    ------
    ConfigError
        If a size is not what the layout has.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    check_size("count", count, 1, 350)
    root = Path(folder).absolute()
    rng = np.random.default_rng(seed)
    numbers = [int(rng.integers(1, 21)), int(rng.integers(21, 51)), int(rng.integers(51, 351))]
    spare = [int(n) for n in rng.permutation(np.arange(1, 351)) if n not in numbers]
    numbers = [*numbers, *spare][:count]
    absent = spare[-1]
    files: dict[str, bytes] = {}
    planted: list[Utterance] = []
    speakers = [
        (encoding, speaker)
        for encoding, choice, many in _ESD_ENCODINGS
        for speaker in rng.permutation(choice)[:many].tolist()
    ]
    for encoding, speaker in speakers:
        spoken = "chinese" if speaker <= 10 else "english"
        words = _CHINESE_WORDS if spoken == "chinese" else _ENGLISH_WORDS
        texts = {n: _sentence(rng, words, "" if spoken == "chinese" else " ") for n in numbers}
        found = _esd_speaker(root, files, rng, speaker, texts, odd, encoding)
        said = {u.id: u.text or "" for u in found}
        names = _ESD_CHINESE if spoken == "chinese" and encoding == "gb2312" else _ESD
        lines = [f"{id}\t{text}\t{names[_block(id)]}" for id, text in said.items()]
        if odd:
            lines, lost = _odd_lines(rng, lines, absent)
            found = [u.with_(text=None) if u.id in lost else u for u in found]
        end = "\r\n" if rng.integers(2) else "\n"
        content = end.join([*lines, ""]).encode(encoding)
        if encoding == "utf-16" and rng.integers(2):
            content = b"\xfe\xff" + end.join([*lines, ""]).encode("utf-16-be")
        if odd and encoding == "utf-8" and rng.integers(2):
            content = b"\xef\xbb\xbf" + content
        files[f"{speaker:04}/{speaker:04}.txt"] = content
        planted += found if language in (spoken, "both") else []
    if odd:
        files["ReadMe.txt"] = b"not a transcript\n"
        files["0011/._0011.txt"] = _JUNK
        files["0011/Angry/._0011_000351.wav"] = _JUNK
    _write(root, made_by("write_esd", seed, count=count, odd=odd), files, seed)
    return planted


def write_emodb(
    folder: str | Path, *, count: int = 7, seed: int = 0, odd: bool = True
) -> list[Utterance]:
    """Write a small corpus in the layout of EmoDB and return what a loader finds in it.

    ``wav/03a01Fa.wav``, ten speakers.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Utterances per speaker, 1 to 70; seven or more have every emotion.
    seed
        Another seed gives other utterances and noise.
    odd
        Whether it has names in capitals, a name without a version, a sentence that is not one of
        the ten, a copy, recordings of the larynx, label files and a stray recording.

    Raises
    ------
    ConfigError
        If a size is not what the layout has.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    check_size("count", count, 1, 70)
    root = Path(folder).absolute()
    rng = np.random.default_rng(seed)
    files: dict[str, bytes] = {}
    planted: list[Utterance] = []
    for speaker in sorted((*_EMODB_MEN, *_EMODB_WOMEN)):
        used: set[tuple[str, str]] = set()
        letters = rng.permutation(list(_EMODB)).tolist()
        while len(used) < count:
            code = str(rng.choice(list(_EMODB_TEXTS)))
            letter = str(letters[len(used) % len(letters)])
            if (code, letter) in used:
                continue
            version = str(rng.choice(list("abc")))
            if odd and not used and speaker == "16":
                version = ""
            if odd and not used and speaker == "03":
                code = "c01"
            used.add((code, letter))
            id = f"{speaker}{code}{letter}{version}"
            name = f"wav/{id}.wav"
            if odd and len(used) == 1 and speaker == "08":
                name = f"wav/{id.upper()}.WAV"
            files[name] = _NOISE
            planted.append(
                Utterance(
                    id=id,
                    corpus="emodb",
                    speaker=speaker,
                    sentence=code,
                    speech=Speech(str(root / name)),
                    text=_EMODB_TEXTS.get(code),
                    emotion=_EMODB[letter],
                    sex="male" if speaker in _EMODB_MEN else "female",
                    age=_EMODB_AGES[speaker],
                )
            )
    if odd:
        copy = planted[int(rng.integers(len(planted)))].id
        files[f"wav_copy/{copy}.flac"] = _NOISE
        files[f"laryngo/{copy}.wav"] = _NOISE
        files[f"lablaut/{copy}.lablaut"] = b"0.1 121 d\n"
        files["wav/room.wav"] = _NOISE
        files[f"wav/._{copy}.wav"] = _JUNK
        files["erkennung.txt"] = "Satz erkannt natürlich\n".encode("latin-1")
    _write(root, made_by("write_emodb", seed, count=count, odd=odd), files, seed)
    return planted


def write_cremad(
    folder: str | Path, *, count: int = 6, seed: int = 0, odd: bool = True, pointers: int = 0
) -> list[Utterance]:
    """Write a small corpus in the layout of CREMA-D and return what a loader finds in it.

    ``AudioWAV/1001_DFA_ANG_XX.wav`` and ``VideoDemographics.csv``; six actors, among them 1040
    and 1076.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Utterances per actor, 1 to 60.
    seed
        Another seed gives other actors, utterances and noise.
    odd
        Whether it has CREMA-D's oddities: ``1040_ITH_SAD_X.wav``, the silent
        ``1076_MTI_SAD_XX.wav``, pointers of git-lfs for the copies in MP3; an actor without
        demographics, demographics without an actor, broken rows of them, a stray recording.
    pointers
        How many of the files are pointers of git-lfs instead of audio. They are not among what
        is returned.

    Raises
    ------
    ConfigError
        If a size is not what the layout has.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    check_size("count", count, 1, 60)
    check_size("pointers", pointers, 0, 6 * count)
    root = Path(folder).absolute()
    rng = np.random.default_rng(seed)
    others = [a for a in rng.permutation(np.arange(1001, 1092)).tolist() if a not in (1040, 1076)]
    actors, absent = sorted([1040, 1076, *others[:4]]), others[4]
    people = {a: (str(rng.integers(20, 75)), str(rng.choice(["Male", "Female"]))) for a in actors}
    unknown, ragged, strange = rng.permutation(actors)[:3].tolist() if odd else (0, 0, 0)
    files: dict[str, bytes] = {}
    planted: list[Utterance] = []
    for actor in actors:
        named = {1040: ["1040_ITH_SAD_X"], 1076: ["1076_MTI_SAD_XX"]} if odd else {}
        ids = named.get(actor, [])
        while len(ids) < count:
            code, label = rng.choice(list(_CREMAD_TEXTS)), rng.choice(list(_CREMAD))
            id = f"{actor}_{code}_{label}_{rng.choice(list(_CREMAD_LEVELS))}"
            if not any(id[:12] == other[:12] for other in ids):
                ids.append(id)
        for id in ids:
            _, code, label, level = id.split("_")
            name = f"AudioWAV/{id}.wav"
            files[name] = _SILENCE if id == "1076_MTI_SAD_XX" else _NOISE
            age, sex = people[actor] if actor not in (unknown, ragged) else (None, None)
            if actor == strange:
                age, sex = None, None
            planted.append(
                Utterance(
                    id=id,
                    corpus="cremad",
                    speaker=str(actor),
                    sentence=code,
                    speech=Speech(str(root / name)),
                    text=_CREMAD_TEXTS[code],
                    emotion=_CREMAD[label],
                    sex=None if sex is None else ("male" if sex == "Male" else "female"),
                    age=age,
                    extra={"level": _CREMAD_LEVELS[level.ljust(2, "X")]},
                )
            )
    rows = ['"ActorID","Age","Sex","Race","Ethnicity"']
    for actor, (age, sex) in people.items():
        row = f'{actor},{age},"{sex}","Unknown","Not Hispanic"'
        if actor == ragged:
            row = f"{actor},{age}"
        elif actor == strange:
            row = f'{actor},"about 30","?","Unknown","Not Hispanic"'
        rows += [row] if actor != unknown else []
    if odd:
        rows.insert(2, "")
        rows.append(f'{absent},30,"Male","Unknown","Hispanic"')
        rows.append(rows[1])
        copies = {f"AudioMP3/{u.id}.mp3": _POINTER % n for n, u in enumerate(planted[::2])}
        files |= {**copies, "AudioWAV/noise.wav": _NOISE, "AudioWAV/._1001_DFA_ANG_XX.wav": _JUNK}
    files["VideoDemographics.csv"] = "\n".join([*rows, ""]).encode("utf-8-sig" if odd else "utf-8")
    for place in rng.permutation(len(planted))[:pointers].tolist():
        files[f"AudioWAV/{planted[place].id}.wav"] = _POINTER % place
    made = made_by("write_cremad", seed, count=count, odd=odd, pointers=pointers)
    _write(root, made, files, seed)
    left_out = {f"{root / name}" for name, content in files.items() if content[:7] == _POINTER[:7]}
    return [u for u in planted if u.speech is not None and u.speech.path not in left_out]


def _esd_speaker(
    root: Path,
    files: dict[str, bytes],
    rng: np.random.Generator,
    speaker: int,
    texts: Mapping[int, str],
    odd: bool,
    encoding: str,
) -> list[Utterance]:
    """Add a speaker's audio to ``files`` and return the utterances, texts as in the corpus."""
    planted: list[Utterance] = []
    moved = int(rng.integers(5 * len(texts))) if odd else -1
    copied = int(rng.integers(5 * len(texts))) if odd else -1
    for block, emotion in enumerate(_ESD):
        for number, text in texts.items():
            home = _ESD[(block + 1) % 5] if len(planted) == moved else emotion
            part = "evaluation" if number <= 20 else "test" if number <= 50 else "train"
            id = f"{speaker:04}_{number + 350 * block:06}"
            below = home.casefold() if odd and encoding == "utf-8" else home
            below += f"/{part}" if odd and encoding == "utf-16" else ""
            name = f"{speaker:04}/{below}/{id}.wav"
            files[name] = _NOISE
            if len(planted) == copied:
                files[f"later/{name}"] = _NOISE
            planted.append(
                Utterance(
                    id=id,
                    corpus="esd",
                    speaker=f"{speaker:04}",
                    sentence=f"{'chinese' if speaker <= 10 else 'english'} {number - 1}",
                    speech=Speech(str(root / name)),
                    text=text,
                    emotion=home.casefold(),
                    sex="male" if speaker in _ESD_MEN else "female",
                    extra={"language": "chinese" if speaker <= 10 else "english"},
                )
            )
    return planted


def _odd_lines(
    rng: np.random.Generator, lines: Sequence[str], absent: int
) -> tuple[list[str], set[str]]:
    """Return the lines of a transcript with its oddities, and the ids that lose their text."""
    new = list(lines)
    places = rng.permutation(len(lines)).tolist()
    no_line, no_text, no_emotion, other, spaces = (places * 5)[:5]
    cells = new[spaces].split("\t")
    new[spaces] = "  ".join(cells) + " "
    cells = lines[other].split("\t")
    new[other] = "\t".join([*cells[:2], "Sad" if cells[2] != "Sad" else "Happy"])
    new[no_emotion] = lines[no_emotion].rpartition("\t")[0] + "\t"
    new[no_text] = f"{lines[no_text][:11]}\t\tAngry"
    new.append(lines[no_emotion])
    new[no_line] = " "
    new.insert(int(rng.integers(len(new))), "")
    new.insert(int(rng.integers(len(new))), "a line without an id Happy")
    new.append(f"{lines[0][:5]}{absent:06}\tNobody said this.\tNeutral")
    return new, {lines[no_text][:11], lines[no_line][:11]}


def _sentence(rng: np.random.Generator, words: Sequence[Sequence[str]], space: str) -> str:
    return space.join(str(rng.choice(choice)) for choice in words)


def _block(id: str) -> int:
    return (int(id[5:]) - 1) // 350


def _write(root: Path, made: Mapping[str, Any], files: Mapping[str, bytes], seed: int) -> None:
    if is_complete(root, made):
        return
    with written_whole(root, made) as partial:
        for number, (name, content) in enumerate(sorted(files.items())):
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content in (_NOISE, _SILENCE):
                rng = np.random.default_rng([seed, number])
                wave = rng.normal(0, 0.1, int(rng.uniform(0.25, 0.35) * SAMPLE_RATE))
                wave *= content == _NOISE
                write_audio(path, wave.astype(np.float32), SAMPLE_RATE)
            else:
                path.write_bytes(content)

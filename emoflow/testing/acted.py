"""Small copies of the acted corpora EmoDB and CREMA-D: real names, noise for speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emoflow.testing.folders import JUNK, NOISE, SILENCE, check_size, made_by, write_files
from emoflow.types import Speech, Utterance

__all__ = ["write_cremad", "write_emodb"]

_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 64000\n"

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
            files[name] = NOISE
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
        files[f"wav_copy/{copy}.flac"] = NOISE
        files[f"laryngo/{copy}.wav"] = NOISE
        files[f"lablaut/{copy}.lablaut"] = b"0.1 121 d\n"
        files["wav/room.wav"] = NOISE
        files[f"wav/._{copy}.wav"] = JUNK
        files["erkennung.txt"] = "Satz erkannt natürlich\n".encode("latin-1")
    write_files(root, made_by("write_emodb", seed, count=count, odd=odd), files, seed)
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
            files[name] = SILENCE if id == "1076_MTI_SAD_XX" else NOISE
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
        files |= {**copies, "AudioWAV/noise.wav": NOISE, "AudioWAV/._1001_DFA_ANG_XX.wav": JUNK}
    files["VideoDemographics.csv"] = "\n".join([*rows, ""]).encode("utf-8-sig" if odd else "utf-8")
    for place in rng.permutation(len(planted))[:pointers].tolist():
        files[f"AudioWAV/{planted[place].id}.wav"] = _POINTER % place
    made = made_by("write_cremad", seed, count=count, odd=odd, pointers=pointers)
    write_files(root, made, files, seed)
    left_out = {f"{root / name}" for name, content in files.items() if content[:7] == _POINTER[:7]}
    return [u for u in planted if u.speech is not None and u.speech.path not in left_out]

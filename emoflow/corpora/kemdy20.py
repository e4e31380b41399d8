"""KEMDy20, the Korean corpus of free speech between two people."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from emoflow.corpora.base import Corpus
from emoflow.corpora.e4_kemdy import SIGNALS, kemdy20_id
from emoflow.corpora.kemdy_tables import AnnotationRow, Cells, read_annotation
from emoflow.data.index import list_files
from emoflow.errors import CorpusError, LabelError
from emoflow.frontends.transcripts import clean_transcript, decode_transcript, sentence_name
from emoflow.types import Rating, Speech, Utterance, parse_emotion

__all__ = ["KEMDy20"]

_ANNOTATION = re.compile(r"sess(\d\d)_eval\.csv", re.IGNORECASE)
_KEMDY19 = re.compile(r"session\d\d_[fm]_res\.csv", re.IGNORECASE)
_SESSION = re.compile(r"session(\d\d)", re.IGNORECASE)
_SIGNAL = re.compile(r"sess\d\d_(script0[1-6]_user\d{3}[mf])\.csv", re.IGNORECASE)
_SPELLINGS = {"disqust": "disgust"}


class KEMDy20(Corpus):
    """KEMDy20: Korean free speech with transcripts, biosignals and ten raters.

    **Source** Electronics and Telecommunications Research Institute (ETRI), Korea: *Korean
    Emotion Multimodal Database in 2020*, https://nanum.etri.re.kr/share/kjnoh2/KEMDy20

    **Licence** ETRI's own, signed, for research; the corpus may not be passed on.

    **How to get it** Ask for it on the page above with a signed agreement, unpack it anywhere,
    and give its folder (or the folder above it) as ``root``. Nothing is written into it.

    **Size** 13,462 annotated utterances, 0.7 to 35 s, 16 kHz mono; 40 sessions of six scripts.

    **Speakers** 80 adults of 19 to 39 years, two per session, who talk to each other: hold out
    sessions, not speakers alone. The age of each is not in the corpus.

    **Labels** Each of ten raters gave one of seven emotions, and arousal and valence as whole
    numbers from 1 to 5. ``emotion`` is the corpus's own total, ``arousal`` and ``valence`` its
    means. 11,120 utterances are neutral, 1,183 happy, 156 surprise, 144 angry, 121 sad, 61
    disgust, 43 fear; 634 are ties, which have ``votes`` but no ``emotion`` (the one named first
    stands in ``extra["first"]``). Raters agree little: Fleiss' kappa is .24 for emotion, .22 for
    valence, .08 for arousal.

    **Text** Transcripts without their tags, and empty where nothing else was in them.
    ``sentence`` is the text itself, so equal short answers share it.

    **Signals** ``EDA``, ``IBI`` and ``TEMP``, one file per script and speaker; see
    :func:`emoflow.corpora.e4_kemdy.kemdy20_signals`. About 6 % of the utterances lack EDA and
    TEMP, and a quarter lacks IBI.

    **Citation** K. J. Noh and H. Jeong, *KEMDy20*, ETRI, 2022; K. J. Noh, C. Y. Jeong, J. Lim,
    S. Chung, G. Kim, J. M. Lim and H. Jeong, "Multi-path and group-loss-based network for speech
    emotion recognition in multi-domain datasets", *Sensors* 21, 1579, 2021.
    """

    name = "kemdy20"
    scale = (1.0, 5.0)
    modalities = ("speech", "text", "signals")

    def files(self) -> Iterable[tuple[str, int, int]]:
        """List the corpus's files, not those of the folder around it."""
        return list_files(find_kemdy20(self.root))

    def utterances(self) -> Iterator[Utterance]:
        """Yield every annotated utterance that has speech or a transcript."""
        root = find_kemdy20(self.root)
        speech, texts = _session_files(root / "wav")
        signals = {name: _signal_files(root / name) for name in SIGNALS}
        labels = _Labels({**_SPELLINGS, **(self.label_map or {})}, self.scale)
        unannotated = set(speech)
        seen: set[str] = set()
        for session, path in _annotations(root):
            for row in read_annotation(path):
                name = kemdy20_id(row.id, session)
                if name is None:
                    self.note("annotation rows whose id is not an utterance's")
                    continue
                unannotated.discard(name)
                if name in seen:
                    self.note("annotation rows that repeat an utterance (the first one counts)")
                    continue
                seen.add(name)
                if name != row.id:
                    self.note("ids put right (session, case or spaces)")
                if name not in speech and name not in texts:
                    self.note("annotated utterances without a file")
                    continue
                recording = name.rpartition("_")[0]
                files = {k: found[recording] for k, found in signals.items() if recording in found}
                try:
                    yield self._utterance(
                        name, row, path, speech.get(name), texts.get(name), files, labels
                    )
                except LabelError:
                    raise  # a label that no map covers concerns the whole corpus
                except CorpusError as error:
                    self.skip(name, str(path), error)
        if unannotated:
            self.note("wav files without an annotation", len(unannotated))

    def _utterance(
        self,
        name: str,
        row: AnnotationRow,
        path: Path,
        speech: str | None,
        transcript: str | None,
        signals: Mapping[str, str],
        labels: _Labels,
    ) -> Utterance:
        session, script, user, _ = name.split("_")
        where = f"{path}, row {row.line}"
        total = labels.emotions(row.total[0], where)
        votes: dict[str, float] = {}
        raters = []
        for cells in row.raters:
            rating, named, missing = labels.rating(cells, where)
            raters.append(rating)
            for label in named:
                votes[label] = votes.get(label, 0.0) + 1 / len(named)
            if missing:
                self.note("raters' numbers that are missing or outside 1 to 5", missing)
        valence, arousal = (
            self._total(cell, kind, where)
            for cell, kind in zip(row.total[1:], ("valence", "arousal"), strict=True)
        )
        extra: dict[str, str | float] = {"script": script}
        for kind, cell in zip(("start", "end"), row.times, strict=True):
            if (seconds := _number(cell)) is not None:
                extra[f"recording_{kind}"] = seconds
        if len(total) > 1:
            extra["first"] = total[0]
            self.note("emotions tied between labels")
        elif not total:
            self.note("utterances without a total emotion")
        if speech is None:
            self.note("utterances without a wav file")
        text = self._text(transcript)
        return Utterance(
            id=name,
            corpus=self.name,
            speaker=user[:-1],
            session=session,
            sentence=sentence_name(text, name),
            speech=None if speech is None else Speech(speech),
            text=text,
            signals=signals or None,
            emotion=total[0] if len(total) == 1 else None,
            votes=votes or dict.fromkeys(total, 1.0) or None,
            arousal=arousal,
            valence=valence,
            raters=tuple(raters) or None,
            sex="female" if user[-1] == "F" else "male",
            extra=extra,
        )

    def _total(self, cell: str, kind: str, where: str) -> float | None:
        value = _number(cell)
        if value is None and cell:
            raise CorpusError(
                f"{where}: {kind} is {cell!r}, not a number", "copy the annotation file again"
            )
        if value is None:
            self.note(f"utterances without {kind}")
        return value

    def _text(self, path: str | None) -> str | None:
        if path is None:
            self.note("utterances without a transcript")
            return None
        try:
            with open(path, "rb", buffering=0) as file:
                content = file.read()
        except OSError:
            self.note("transcripts that cannot be read")
            return None
        text, lossy = decode_transcript(content)
        if lossy:
            self.note("transcripts decoded with loss")
        text = clean_transcript(text)
        if not text:
            self.note("transcripts without words")
        return text


class _Labels:
    """What cells mean; raters repeat themselves, so every answer is kept."""

    def __init__(self, aliases: Mapping[str, str], scale: tuple[float, float]) -> None:
        self._aliases = aliases
        self._lowest, self._highest = scale
        self._emotions: dict[str, tuple[str, ...]] = {}
        self._ratings: dict[Cells, tuple[Rating, tuple[str, ...], int]] = {}

    def emotions(self, cell: str, where: str) -> tuple[str, ...]:
        """Return a cell's emotions: several if they tie, in the order they are named."""
        if cell not in self._emotions:
            parts = [part for part in cell.split(";") if part.strip()]
            named = (parse_emotion(part, where=where, aliases=self._aliases) for part in parts)
            self._emotions[cell] = tuple(dict.fromkeys(named))
        return self._emotions[cell]

    def rating(self, cells: Cells, where: str) -> tuple[Rating, tuple[str, ...], int]:
        """Return a rater's rating, every emotion in it, and how many numbers were no use."""
        if cells not in self._ratings:
            rater, emotion, valence, arousal = cells
            named = self.emotions(emotion, where)
            numbers = [self._on_scale(arousal), self._on_scale(valence)]
            rating = Rating(rater, named[0] if len(named) == 1 else None, *numbers)
            self._ratings[cells] = rating, named, numbers.count(None)
        return self._ratings[cells]

    def _on_scale(self, cell: str) -> float | None:
        value = _number(cell)
        return None if value is None or not self._lowest <= value <= self._highest else value


def find_kemdy20(root: str | Path) -> Path:
    """Return the folder of KEMDy20: ``root``, a folder in it, or the one around it.

    It is known by the files of its ``annotation`` folder, not by its name.

    Raises
    ------
    CorpusError
        If there is none, or more than one; it says what was looked for.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder", "give the KEMDy20 folder as data.root")
    below = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    deeper = sorted(p for b in below if _may_read(b) for p in b.iterdir() if p.is_dir())
    for places in ([root], [root.parent] if _is_inside(root) else [], below, deeper):
        found = [place for place in places if _names(place, _ANNOTATION)]
        if len(found) > 1:
            raise CorpusError(
                f"{root}: holds several copies of KEMDy20: {', '.join(p.name for p in found)}",
                "give one of them as data.root",
            )
        if found:
            return found[0]
    if any(_names(place, _KEMDY19) for place in (root, *below)):
        raise CorpusError(
            f"{root}: this is KEMDy19 (annotation/Session01_F_res.csv …), not KEMDy20",
            "give the folder that holds annotation/Sess01_eval.csv … and wav/Session01 …",
        )
    raise CorpusError(
        f"{root}: not KEMDy20: no annotation/Sess01_eval.csv … in it or in a folder below it",
        "give the folder that holds annotation/, wav/, EDA/, IBI/ and TEMP/ as data.root",
    )


def _is_inside(root: Path) -> bool:
    return root.name.casefold() in {"annotation", "wav", *(s.casefold() for s in SIGNALS)}


def _may_read(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def _names(place: Path, pattern: re.Pattern[str]) -> list[str]:
    folder = place / "annotation"
    if not folder.is_dir():
        return []
    return sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))


def _annotations(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield each annotation file with its session, two digits."""
    for name in _names(root, _ANNOTATION):
        yield name[4:6], root / "annotation" / name


def _session_folders(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (session, path) of the folders that are called Session01 and so on."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            found = _SESSION.fullmatch(entry.name)
            if found and entry.is_dir():
                yield found[1], entry.path


def _session_files(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the wav and the txt file per utterance id."""
    speech: dict[str, str] = {}
    texts: dict[str, str] = {}
    for session, path in _session_folders(folder):
        for file in sorted(os.listdir(path)):
            stem, dot, ending = file.rpartition(".")
            kinds = {"wav": speech, "txt": texts}
            found = kinds.get(ending.casefold()) if dot else None
            name = kemdy20_id(stem, session) if found is not None else None
            if found is not None and name is not None:
                found.setdefault(name, f"{path}{os.sep}{file}")
    return speech, texts


def _signal_files(folder: Path) -> dict[str, str]:
    """Return the file per recording, ``Sess01_script01_User001F``."""
    files: dict[str, str] = {}
    for session, path in _session_folders(folder):
        for file in sorted(os.listdir(path)):
            if found := _SIGNAL.fullmatch(file):
                recording = kemdy20_id(f"Sess{session}_{found[1]}_001")
                if recording is not None:
                    files.setdefault(recording[:-4], f"{path}{os.sep}{file}")
    return files


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None

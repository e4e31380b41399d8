"""Emergency voice and sound of AI-Hub, Korean."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from emoflow.corpora.base import Corpus
from emoflow.data.archives import unpack_first
from emoflow.data.text_files import read_json, walk
from emoflow.errors import ConfigError, CorpusError, LabelError
from emoflow.frontends.transcripts import sentence_name
from emoflow.types import SEXES, Speech, Utterance, parse_emotion

__all__ = ["EMERGENCY_CLASSES", "EmergencySound"]

EMERGENCY_CLASSES = (
    "강제추행(성범죄)", "강도범죄", "절도범죄", "폭력범죄", "화재", "갇힘", "응급의료", "전기사고",
    "가스사고", "낙상", "붕괴사고", "태풍-강풍", "지진", "도움요청", "실내", "실외",
)  # fmt: skip
"""Classes in the order of their numbers, 1 to 16; the last two are the normal ones."""

_Classes = Literal["binary", "all"]
_NORMAL = EMERGENCY_CLASSES[-2:]
_NOT_LETTERS = re.compile(r"\([^)]*\)|[^\w(]|[\d_(]")
_SPLIT = re.compile(r"[\d. _-]*(training|validation)", re.IGNORECASE)
_SPLITS = {"training": "train", "validation": "test"}
_AUDIO = (".wav", ".flac")
_AGAIN = "copy the file again from the corpus"


class EmergencySound(Corpus):
    """Emergency voice and sound: Korean voices and noises of sixteen classes.

    **Source** AI-Hub's 위급상황 음성/음향 (dataSetSn 170), Korea.

    **Licence** AI-Hub's own: its terms must be accepted; the corpus may not be passed on.

    **How to get it** https://aihub.or.kr/aihubdata/data/view.do?dataSetSn=170 with an account.
    Unpack it with ``emoflow unpack`` and give the folder that holds ``Training`` and
    ``Validation`` (or the one above it) as ``root``:
    ``Training/[라벨]8.전기사고/8.전기사고_236859.json`` and
    ``Training/[원천]8.전기사고_1/8.전기사고_236859_label.wav`` …

    **Size** Not known here. One utterance per annotation, of which a file may have several; about
    5,500 labels come without audio and are left out. 44.1 kHz; the number of channels varies.

    **Speakers** Not known: there is no speaker id, so that neither a split by speakers nor a
    claim about new speakers can be made. ``official`` is the corpus's own split: Training is
    train, Validation is test.

    **Labels** Not emotions. As the option ``classes`` says, emergency or normal, or one of
    sixteen (:data:`EMERGENCY_CLASSES`): 강제추행(성범죄), 강도범죄, 절도범죄, 폭력범죄, 화재, 갇힘,
    응급의료, 전기사고, 가스사고, 낙상, 붕괴사고, 태풍-강풍, 지진, 도움요청; and 실내 (indoors) and
    실외 (outdoors), which are the normal ones. ``extra`` has ``class``, ``subtype``,
    ``audioType``, ``generation`` and ``dialect`` where they are given. No arousal, no valence,
    no raters.

    **Text** What is said, where something is. Sex, generation and dialect are not given for
    indoor sounds.

    **Origin** Normal and emergency sounds may come from different recordings: sampling rate,
    loudness or length alone might tell them apart. Look before you believe a score.

    **Citation** AI-Hub, 위급상황 음성/음향, https://aihub.or.kr

    Parameters
    ----------
    root
        Folder of the corpus.
    classes
        binary: emergency and normal; all: the sixteen classes.
    options
        Those of every corpus.
    """

    name = "emergency_sound"
    scale = None
    modalities = ("speech", "text")
    labels: ClassVar[tuple[str, ...]] = ("emergency", "normal")
    known: ClassVar[Mapping[str, int]] = {}

    def __init__(self, root: str, classes: _Classes = "binary", **options: Any) -> None:
        super().__init__(root, **options)
        self.classes = classes

    def utterances(self) -> Iterator[Utterance]:
        """Yield one utterance per annotation of a file whose audio is there."""
        if self.classes not in get_args(_Classes):
            raise ConfigError(f"data.classes: there is no {self.classes!r}", "use binary or all")
        labels, speech = self._found(Path(self.root).expanduser())
        aliases = self._aliases()
        if silent := len(labels.keys() - speech.keys()):
            self.note("labels without audio", silent)
        if unknown := len(speech.keys() - labels.keys()):
            self.note("wav files without a label", unknown)
        for key in sorted(labels.keys() & speech.keys()):
            stem, path = labels[key]
            try:
                annotations = _annotations(path)
            except CorpusError as error:
                self.skip(stem, path, error)
                continue
            for number, annotation in enumerate(annotations, start=1):
                name, where = stem, path
                if len(annotations) > 1:
                    name, where = f"{stem}_{number}", f"{path}, annotation {number}"
                try:
                    yield self._utterance(name, annotation, speech[key], where, aliases)
                except LabelError:
                    raise  # a label that no map covers concerns the whole corpus
                except CorpusError as error:
                    self.skip(name, path, error)

    def official_split(self) -> dict[str, str] | None:
        """Return train or test per key, by the folder that the audio lies in."""
        keys, paths = (self.table.column(name) for name in ("key", "speech_path"))
        found = {key: _split(path) for key, path in zip(keys, paths, strict=True)}
        return {key: split for key, split in found.items() if split} or None

    def _found(self, root: Path) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
        """Return (stem, path) of the label file and the path of the audio, per folded stem."""
        if not root.is_dir():
            raise CorpusError(f"{root}: no such folder", "give the corpus's folder as data.root")
        labels: dict[str, tuple[str, str]] = {}
        speech: dict[str, str] = {}
        for path, file in walk(root):
            stem, dot, ending = file.rpartition(".")
            key = stem.casefold().removesuffix("_label")
            if dot and ending.casefold() == "json":
                if key in labels:
                    self.note("label files that repeat another (the first one counts)")
                labels.setdefault(key, (stem, path))
            elif dot + ending.casefold() in _AUDIO:
                if key in speech:
                    self.note("wav files that repeat another (the first one counts)")
                speech.setdefault(key, path)
        if not labels.keys() & speech.keys():
            raise CorpusError(
                f"{root}: not the emergency sound corpus: no Training/[라벨]8.전기사고/"
                "8.전기사고_236859.json … with its …_label.wav in it or below it "
                f"({len(labels)} json and {len(speech)} wav files)",
                unpack_first(
                    root, "give the folder that holds Training and Validation as data.root"
                ),
            )
        return labels, speech

    def _aliases(self) -> dict[str, str]:
        """Return the label of every class, and what the user's map makes of it."""
        own = self.label_map or {}
        labels = {c: c if self.classes == "all" else _origin(c) for c in EMERGENCY_CLASSES}
        return {**{c: own.get(label, label) for c, label in labels.items()}, **own}

    def _utterance(
        self,
        name: str,
        annotation: Mapping[str, Any],
        speech: str,
        where: str,
        aliases: Mapping[str, str],
    ) -> Utterance:
        categories = _part(annotation, "categories")
        written = _words(categories.get("category_02"))
        if written is None:
            raise CorpusError(f"{where}: no category_02, which is the class", _AGAIN)
        category = _BY_LETTERS.get(_letters(written), written)
        span = _part(annotation, "area")
        start, end = (_seconds(span.get(edge), edge, where) for edge in ("start", "end"))
        if start is None or end is None:
            self.note("annotations without a start or an end (the file's counts)")
        gender = _words(annotation.get("gender"))
        sex = SEXES.get((gender or "").casefold())
        if gender and sex is None:
            self.note("genders that are neither female nor male")
        text = _words(annotation.get("note"))
        extra = {
            "class": category,
            "subtype": _words((_words(categories.get("category_03")) or "").rpartition("_")[2]),
            **{key: _words(annotation.get(key)) for key in ("audioType", "generation", "dialect")},
        }
        return Utterance(
            id=name,
            corpus=self.name,
            sentence=sentence_name(text, name),
            speech=Speech(speech, start or 0.0, end),
            text=text,
            emotion=parse_emotion(category, where=where, aliases=aliases),
            sex=sex,
            extra={key: value for key, value in extra.items() if value is not None},
        )


def _annotations(path: str) -> list[dict[str, Any]]:
    content = read_json(path)
    found = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(found, list) or not found or not all(isinstance(a, dict) for a in found):
        raise CorpusError(f"{path}: holds no list of annotations", _AGAIN)
    return found


def _part(annotation: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = annotation.get(name)
    return part if isinstance(part, dict) else {}


def _words(value: Any) -> str | None:
    """Return a value's text with single spaces; nothing if there is none."""
    if not isinstance(value, str | int | float):
        return None
    return " ".join(unicodedata.normalize("NFC", str(value)).split()) or None


def _seconds(value: Any, edge: str, where: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (OverflowError, TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise CorpusError(f"{where}: its {edge} is {value!r}, not a number of seconds", _AGAIN)
    return seconds


def _letters(label: str) -> str:
    return _NOT_LETTERS.sub("", label.casefold())


def _origin(category: str) -> str:
    return "normal" if category in _NORMAL else "emergency"


def _split(path: str) -> str | None:
    for part in reversed(Path(path).parts[:-1]):
        if found := _SPLIT.fullmatch(part):
            return _SPLITS[found[1].casefold()]
    return None


_BY_LETTERS = {_letters(category): category for category in EMERGENCY_CLASSES}

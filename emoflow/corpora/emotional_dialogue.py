"""AI-Hub's emotional dialogue corpus, its text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from emoflow.corpora.base import Corpus
from emoflow.corpora.dialogue_talks import (
    TALK_SEXES,
    Level,
    Talk,
    dialogue_emotion,
    fine_name,
    read_talks,
)
from emoflow.data.archives import unpack_first
from emoflow.data.text_files import walk
from emoflow.errors import CorpusError, LabelError
from emoflow.frontends.transcripts import sentence_name
from emoflow.labels import KOREAN_COARSE
from emoflow.types import Utterance

__all__ = ["EmotionalDialogue", "find_label_files", "is_text_part", "wrong_root"]

_FILE = re.compile(r"감성\s?대화\s?말뭉치.*(training|validation).*\.(json|xlsx)", re.IGNORECASE)
_SPLITS = {"training": "train", "validation": "test"}


class EmotionalDialogue(Corpus):
    """The text of AI-Hub's emotional dialogue: what people write to a counselling machine.

    **Source** AI-Hub (National Information Society Agency, Korea): 감성 대화 말뭉치,
    https://www.aihub.or.kr/aihubdata/data/view.do?dataSetSn=86

    **Licence** AI-Hub's own terms of use; it asks for an account and an agreement.

    **How to get it** Download it from the page above, unpack it with ``emoflow unpack``, and give
    its folder (or one above it) as ``root``. Read are ``감성대화말뭉치(최종데이터)_Training`` and
    ``…_Validation``, as ``.json`` or ``.xlsx``, in any folders below: ``Training`` and
    ``Validation`` in the release of 2021, ``018.감성대화/Training_221115_add`` and
    ``…/Validation_221115_add`` in that of 2022. Where both formats lie there, the JSON counts.

    **Size** 40,879 talks for training and 5,130 for validation in the release of 2021; that of
    2022 has more, by reports about 51,600 and 6,600. A talk is one utterance.

    **Speakers** Not named: no protocol can hold speakers out. Sex, and one of four ages
    (청소년, 청년, 중년, 노년), are given for every talk.

    **Labels** Six coarse emotions, 분노, 슬픔, 불안, 상처, 당황 and 기쁨, none of them neutral, and
    sixty fine ones, ten in each. They keep their Korean names; ``label_map: korean-to-shared``
    translates the coarse ones. 고립된 and 혼란스러운 stand under two coarse emotions each: those
    of 당황 are called 고립된(당황한) and 혼란스러운(당황한). Both names are in ``extra``. No
    arousal, no valence, no raters.

    **Text** What the human said first, or in all turns; the machine's turns are left out.
    First turns repeat (39,415 of the 40,879 differ), so split by ``sentence``, which is made
    from the first turn.

    **Splits** ``protocol: {name: official}`` learns from the training folder and tests on the
    validation folder; sentences may stand in both.

    **Extra** ``situation`` and ``illness`` (in words from a workbook; JSON has the codes S01 to
    S13 for situations), ``number`` as the files have it.

    **Citation** AI-Hub, 감성 대화 말뭉치 (emotional dialogue corpus), 2021,
    https://www.aihub.or.kr/aihubdata/data/view.do?dataSetSn=86

    Parameters
    ----------
    root
        Its folder, or one above it.
    level
        coarse: six emotions. fine: sixty.
    turns
        first: the text is the human's first turn. all: all of the human's turns, joined.
    options
        Those of every corpus.
    """

    name = "emotional_dialogue"
    scale = None
    modalities = ("text",)
    labels: ClassVar[tuple[str, ...]] = KOREAN_COARSE
    known: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self,
        root: str,
        level: Level = "coarse",
        turns: Literal["first", "all"] = "first",
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        self.level: Level = level
        self.turns: Literal["first", "all"] = turns

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Yield the label files alone."""
        for path, _, _ in find_label_files(self.root):
            facts = os.stat(path)
            yield path, facts.st_size, facts.st_mtime_ns

    def utterances(self) -> Iterator[Utterance]:
        """Yield one utterance per talk."""
        for split, path in self._chosen():
            numbers: set[str] = set()
            for position, (where, talk) in enumerate(read_talks(path), start=1):
                name = f"{split}-{position:05}"
                if talk is not None and talk.number:
                    if talk.number in numbers:
                        self.note("talks whose number another has, too")
                    numbers.add(talk.number)
                try:
                    yield self._utterance(name, talk, where)
                except LabelError:
                    raise  # a label that no map covers concerns the whole corpus
                except CorpusError as error:
                    self.skip(name, path, error)

    def official_split(self) -> Mapping[str, str]:
        """Return key to train (the training folder) or test (the validation folder)."""
        names = self.table.column("id")
        return {f"{self.name}/{name}": _SPLITS[name.partition("-")[0]] for name in names}

    def _chosen(self) -> Iterator[tuple[str, str]]:
        """Yield (split, path): one file per split."""
        found: dict[str, dict[str, list[str]]] = {}
        for path, split, ending in find_label_files(self.root):
            found.setdefault(split, {}).setdefault(ending, []).append(path)
        for split, by_ending in sorted(found.items()):
            if len(by_ending) > 1:
                self.note("workbooks that lie beside a JSON file (the JSON file counts)")
            first, *others = by_ending[min(by_ending)]
            for other in others:
                if Path(first).read_bytes() != Path(other).read_bytes():
                    raise CorpusError(
                        f"{self.root}: holds several copies of one split: {first} and {other}",
                        "give the folder of one release as data.root",
                    )
                self.note("label files that repeat another (the first one counts)")
            yield split, first

    def _utterance(self, name: str, talk: Talk | None, where: str) -> Utterance:
        if talk is None:
            raise CorpusError(f"{where}: not as wide as the header", "copy the file again")
        if 1 not in talk.turns:
            raise CorpusError(f"{where}: the human's first turn is missing", "copy the file again")
        emotion = dialogue_emotion(talk.coarse, talk.fine, self.level, where, self.label_map)
        fine = fine_name(talk.coarse, talk.fine)
        if talk.fine and fine is None:
            self.note("fine emotions that are none of their coarse one's")
        sex = TALK_SEXES.get(talk.sex.casefold())
        if sex is None:
            self.note("talks without a sex")
        extra = {"coarse": talk.coarse, "fine": fine or talk.fine, "situation": talk.situation}
        extra |= {"illness": talk.illness, "number": talk.number}
        first = talk.turns[1]
        said = [first] if self.turns == "first" else [t for _, t in sorted(talk.turns.items())]
        return Utterance(
            id=name,
            corpus=self.name,
            sentence=sentence_name(first, name),
            text=" ".join(said),
            emotion=emotion,
            sex=sex,
            age=talk.age or None,
            extra={key: value for key, value in extra.items() if value},
        )


def find_label_files(root: str | Path) -> list[tuple[str, str, str]]:
    """Return (path, training or validation, json or xlsx) of the text's files below ``root``.

    Raises
    ------
    CorpusError
        If there is none; it says what was looked for.
    """
    root = Path(root).expanduser()
    found = []
    for path, file in walk(root):
        if match := _FILE.fullmatch(_restored(file)):
            found.append((path, match[1].casefold(), match[2].casefold()))
    if not found:
        raise wrong_root(
            root,
            "the text of the emotional dialogue corpus: no "
            "감성대화말뭉치(최종데이터)_Training.json or .xlsx",
            "give the folder that holds Training and Validation, or 018.감성대화, as data.root",
        )
    return found


def is_text_part(file: str) -> bool:
    """Return whether a file is called like a label file of the text part."""
    return _FILE.fullmatch(_restored(file)) is not None


def wrong_root(root: Path, what: str, fix: str) -> CorpusError:
    """Return the error for a folder that is not the corpus's, or not unpacked."""
    found = f"not {what} in it or below it" if root.is_dir() else "no such folder"
    return CorpusError(f"{root}: {found}", unpack_first(root, fix))


def _restored(name: str) -> str:
    """Return a file's name as it was before an unpacker took its CP949 for CP437."""
    try:
        return name.encode("cp437").decode("cp949")
    except UnicodeError:
        return name

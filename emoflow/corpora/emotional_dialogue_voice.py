"""AI-Hub's emotional dialogue corpus, its voice."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from emoflow.corpora.base import Corpus
from emoflow.corpora.dialogue_talks import (
    TALK_SEXES,
    Level,
    dialogue_emotion,
    fine_name,
    plain_cell,
)
from emoflow.corpora.emotional_dialogue import is_text_part, wrong_root
from emoflow.data.text_files import read_table, records, walk
from emoflow.errors import CorpusError, LabelError
from emoflow.frontends.transcripts import sentence_name
from emoflow.labels import KOREAN_COARSE
from emoflow.types import Speech, Utterance

__all__ = ["EmotionalDialogueVoice"]

_STEM = re.compile(r"([MF])[_-](\d{4,6})", re.IGNORECASE)
_AUDIO = (".wav", ".flac")
_TABLE = (".csv", ".tsv", ".xlsx")
_TEXT = "문장"
_COLUMNS = {
    "no": "NO.",
    **{name.replace("_", ""): name for name in ("성우", "연령", "성별", "상황키워드")},
    **{name.replace("_", ""): name for name in ("감정_대분류", "감정_소분류")},
}
"""A column's name without spaces and signs, case-folded, to the corpus's own."""
_NEEDED = ("NO.", "감정_대분류")


class EmotionalDialogueVoice(Corpus):
    """The voice of AI-Hub's emotional dialogue: its sentences, read by voice actors.

    **Source** AI-Hub (National Information Society Agency, Korea): 감성 대화 말뭉치,
    https://www.aihub.or.kr/aihubdata/data/view.do?dataSetSn=86

    **Licence** AI-Hub's own terms of use; it asks for an account and an agreement.

    **How to get it** Download it from the page above, unpack it with ``emoflow unpack``, and give
    the folder that holds both sexes' recordings (``M_000001.wav`` …, ``F_000001.wav`` …) and
    their script tables (``.csv`` or ``.xlsx``, one per sex), or one above it, as ``root``. How
    the folders and tables are called does not matter; the workbooks of the text part are passed
    over.

    **Size** 10,000 utterances: 5,000 by men and 5,000 by women.

    **Speakers** Voice actors, called by their letter and their name in the column 성우; how
    many is not known. Their sex is that of the file's letter. ``age`` is the column 연령.

    **Labels** Six coarse emotions, 분노, 슬픔, 불안, 상처, 당황 and 기쁨, none of them neutral, and
    fine ones as in :class:`emoflow.corpora.EmotionalDialogue`. ``label_map: korean-to-shared``
    translates the coarse ones. Both names are in ``extra``. No arousal, no valence, no raters.

    **Text** The sentence that was read; ``sentence`` is made from it.

    **Extra** ``situation``, in words.

    **Citation** AI-Hub, 감성 대화 말뭉치 (emotional dialogue corpus), 2021,
    https://www.aihub.or.kr/aihubdata/data/view.do?dataSetSn=86

    Parameters
    ----------
    root
        Its folder, or one above it.
    level
        coarse: six emotions. fine: sixty.
    options
        Those of every corpus.
    """

    name = "emotional_dialogue_voice"
    scale = None
    modalities = ("speech", "text")
    labels: ClassVar[tuple[str, ...]] = KOREAN_COARSE
    known: ClassVar[Mapping[str, int]] = {"utterances": 10_000}

    def __init__(self, root: str, level: Level = "coarse", **options: Any) -> None:
        super().__init__(root, **options)
        self.level: Level = level

    def utterances(self) -> Iterator[Utterance]:
        """Yield every utterance that has speech and a row in a script table."""
        root = Path(self.root).expanduser()
        speech, tables = self._files(root)
        unlabelled = set(speech)
        seen: set[str] = set()
        for path in tables:
            for number, row in self._rows(path):
                where = f"{path}, row {number}"
                if row is None:
                    self.skip(f"row {number}", path, "it has more or fewer cells than the header")
                    continue
                name = _name(row["NO."])
                if name is None:
                    self.note("script rows whose NO. is not an utterance's")
                elif name in seen:
                    self.note("script rows that repeat an utterance (the first one counts)")
                elif name not in speech:
                    seen.add(name)
                    self.note("script rows without a wav file")
                else:
                    seen.add(name)
                    unlabelled.discard(name)
                    try:
                        yield self._utterance(name, row, speech[name], where)
                    except LabelError:
                        raise  # a label that no map covers concerns the whole corpus
                    except CorpusError as error:
                        self.skip(name, path, error)
        if unlabelled:
            self.note("wav files without a script row", len(unlabelled))

    def _files(self, root: Path) -> tuple[dict[str, str], list[str]]:
        """Return the audio file per utterance, and the files that may be script tables."""
        speech: dict[str, str] = {}
        tables = []
        for path, file in walk(root):
            stem, dot, ending = file.rpartition(".")
            ending = dot + ending.casefold()
            if ending in _AUDIO and (name := _name(stem)):
                if speech.setdefault(name, path) != path:
                    self.note("files that repeat an utterance (the first one counts)")
            elif ending in _TABLE and not file.startswith("~$") and not is_text_part(file):
                tables.append(path)
        if not speech or not tables:
            what = "M_000001.wav, F_000001.wav …" if not speech else "script table (.csv, .xlsx)"
            raise wrong_root(
                root,
                f"the voice of the emotional dialogue corpus: no {what}",
                "give the folder that holds the recordings and the script tables as data.root",
            )
        return speech, tables

    def _rows(self, path: str) -> Iterable[tuple[int, dict[str, str] | None]]:
        """Return (row number, column to cell) of a script table, columns by their own names."""
        header, *rows = read_table(path) or [[]]
        columns = list(_own_names(header))
        if not {"NO.", "성우", "감정_대분류"} & set(columns):
            self.note("tables that are no script")
            return ()
        width = len(columns)
        while columns and not columns[-1]:
            columns.pop()
        narrow = [row[: len(columns)] + row[width:] for row in rows]
        beyond = (cell for row in rows for cell in row[len(columns) : width])
        if lost := sum(bool(plain_cell(cell)) for cell in beyond):
            self.note("cells of script rows below no column's name (left out)", lost)
        return records([columns, *narrow], path, _NEEDED)

    def _utterance(self, name: str, row: Mapping[str, str], path: str, where: str) -> Utterance:
        cells = {column: plain_cell(cell) for column, cell in row.items()}
        coarse, fine = (cells.get(f"감정_{size}분류", "") for size in "대소")
        emotion = dialogue_emotion(coarse, fine, self.level, where, self.label_map)
        sex = TALK_SEXES[name[0].casefold()]
        if (given := cells.get("성별", "").casefold()) and TALK_SEXES.get(given) != sex:
            self.note("script rows whose 성별 is not the sex of the file's letter")
        actor, text = cells.get("성우", "").casefold(), cells.get(_TEXT) or None
        if not actor:
            self.note("script rows without a speaker")
        if text is None:
            self.note("script rows without a sentence")
        own = fine_name(coarse, fine)
        if fine and own is None:
            self.note("fine emotions that are none of their coarse one's")
        extra = {"coarse": coarse, "fine": own or fine, "situation": cells.get("상황키워드")}
        return Utterance(
            id=name,
            corpus=self.name,
            speaker=f"{name[0]}-{actor}" if actor else None,
            sentence=sentence_name(text, name),
            speech=Speech(path),
            text=text,
            emotion=emotion,
            sex=sex,
            age=cells.get("연령") or None,
            extra={key: value for key, value in extra.items() if value},
        )


def _name(stem: str) -> str | None:
    """Return ``M_000001`` for however it is written, with ``.wav`` or without."""
    stem = unicodedata.normalize("NFKC", stem).strip()
    found = _STEM.fullmatch(re.sub(r"\.(wav|flac)$", "", stem, flags=re.IGNORECASE))
    return f"{found[1].upper()}_{int(found[2]):06}" if found else None


def _own_names(header: Iterable[str]) -> Iterator[str]:
    """Yield the corpus's own names of columns; the first that holds sentences is the text."""
    text = False
    for cell in header:
        plain = re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", cell)).casefold()
        if not text and plain.startswith(("사람문장", "문장", "발화")):
            text = True
            yield _TEXT
        else:
            yield _COLUMNS.get(plain, cell.strip())

"""KEMDy19, the Korean corpus of acted dialogues."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from emoflow.corpora.e4_kemdy import SIGNALS_OF_KEMDY19, kemdy19_id, kemdy19_recording
from emoflow.corpora.kemdy_common import (
    KEMDY19,
    KEMDy,
    Labels,
    annotation_names,
    find_root,
    session_folders,
)
from emoflow.corpora.kemdy_tables import AnnotationRow
from emoflow.data.index import list_files
from emoflow.errors import ConfigError, CorpusError, LabelError
from emoflow.traces import SignalRecording
from emoflow.types import Utterance

__all__ = ["KEMDy19", "Role"]

Role = Literal["speaker", "listener", "both"]

_RECORDING = re.compile(r"sess\d\d_(script0[1-6]|impro0[1-4])", re.IGNORECASE)
_SIGNAL = re.compile(r"sess\d\d([fm])\.csv", re.IGNORECASE)
_PERSONS = {"F": "M", "M": "F"}
"""Each person of a session to the other."""
_HEADERS = 2
_WRONG: Mapping[tuple[str, str, int], tuple[str, str | None]] = {
    ("03", "F", 345): ("Sess03_impro02_M001", "Sess03_impro02_F001"),
    ("09", "F", 253): ("Sess09_script06_M001", None),
    ("09", "F", 310): ("Sess09_impro01_M001", None),
}
"""Session, rated person and row (below the headers, from 0) of ids known to be wrong: the id
that stands there, and the true one, or ``None`` for a row that belongs nowhere."""


class KEMDy19(KEMDy):
    """KEMDy19: Korean dialogues acted in pairs, with transcripts, biosignals and ten raters.

    **Source** Electronics and Telecommunications Research Institute (ETRI), Korea: *Korean
    Emotion Multimodal Database in 2019*, https://nanum.etri.re.kr/share/kjnoh/KEMDy19

    **Licence** ETRI's own, signed, for research; the corpus may not be passed on.

    **How to get it** Ask for it on the page above with a signed agreement, unpack it anywhere,
    and give its folder (or the folder above it) as ``root``: it holds ``annotation`` with
    ``Session01_F_res.csv`` …, ``wav/Session01/Sess01_script01`` …, ``ECG``, ``EDA`` and ``TEMP``.
    Nothing is written into it.

    **Size** 10,279 utterances of up to 78 s, 16 kHz mono; 20 sessions of up to six scripts and
    four improvisations. The files of the women and of the men hold 20,566 rows together: every
    utterance is rated twice.

    **Speakers** 40 voice actors, a woman and a man per session, who talk to each other: hold out
    sessions, not speakers alone. Their ages are not in the corpus.

    **Labels** Each of ten raters gave one of seven emotions, and arousal and valence as whole
    numbers from 1 to 5. ``emotion`` is the corpus's own total, ``arousal`` and ``valence`` its
    means. Ties have ``votes`` but no ``emotion`` (the one named first stands in
    ``extra["first"]``). Fleiss' kappa is about .5 for emotion, .35 for valence, .28 for arousal.

    **Roles** While one speaks, both are rated: ``Session01_F_res.csv`` describes the woman,
    whoever speaks, ``Session01_M_res.csv`` the man. The option ``role`` chooses between the state
    of the speaker and that of the listener, which published scores mix in several ways.
    ``speaker`` and ``sex`` are always those of the voice, ``signals`` those of the rated person,
    who stands in ``extra["rated"]``.

    **Text** Transcripts without their tags; of speech that overlaps, ``(other+own)``, the own
    words stay. Empty where nothing else was in them. ``sentence`` is the text itself: all pairs
    act the same scripts, so that sentences recur in every session.

    **Signals** ``ECG`` (its unit and rate are not documented), ``EDA`` (µS) and ``TEMP`` (°C), one
    file per person and session, in which scripts follow one another; they are laid an hour apart.
    Some sessions and recordings lack them; see
    :func:`emoflow.corpora.e4_kemdy.kemdy19_recording`.

    **Mended** Three rows of annotation are known to be wrong, one with another speaker's id and
    two that belong nowhere; they are put right or left out, and counted.

    **Citation** K. J. Noh and H. Jeong, *KEMDy19*, ETRI; K. J. Noh, C. Y. Jeong, J. Lim,
    S. Chung, G. Kim, J. M. Lim and H. Jeong, "Multi-path and group-loss-based network for speech
    emotion recognition in multi-domain datasets", *Sensors* 21, 1579, 2021.

    Parameters
    ----------
    root
        Folder of the corpus, as its data card says.
    role
        Whose state an utterance's ratings are. speaker: of who speaks; listener: of who listens;
        both: each utterance twice, the rated person behind its id (``Sess01_script01_M001_F``).
    options
        Those of every corpus.
    """

    name = "kemdy19"
    known: ClassVar[Mapping[str, int]] = {"utterances": 10_279, "speakers": 40, "sessions": 20}

    def __init__(self, root: str, role: Role = "speaker", **options: Any) -> None:
        super().__init__(root, **options)
        self.role = role

    def files(self) -> Iterable[tuple[str, int, int]]:
        """List the corpus's files, not those of the folder around it."""
        return list_files(find_root(self.root, KEMDY19))

    def utterances(self) -> Iterator[Utterance]:
        """Yield every rated utterance of the role that has speech or a transcript."""
        if self.role not in get_args(Role):
            raise ConfigError(
                f"data.role is {self.role!r}", f"give one of {', '.join(get_args(Role))}"
            )
        root = find_root(self.root, KEMDY19)
        speech, texts = self._files(_recordings(root / "wav"), kemdy19_id)
        signals = {name: _signal_files(root / name) for name in SIGNALS_OF_KEMDY19}
        labels = self._cells()
        unrated = {(name, p) for name in {*speech, *texts} for p in self._persons(name)}
        seen: set[tuple[str, str]] = set()
        for session, person, path in _annotations(root):
            rows = list(self._rows(path, session, kemdy19_id))
            for name, row in self._mended(rows, session, person):
                if person not in self._persons(name):
                    continue
                unrated.discard((name, person))
                if (name, person) in seen:
                    self.note("annotation rows that repeat an utterance (the first one counts)")
                    continue
                seen.add((name, person))
                if name not in speech and name not in texts:
                    self.note("annotated utterances without a file")
                    continue
                whose = session + person
                own = {kind: files[whose] for kind, files in signals.items() if whose in files}
                try:
                    yield self._utterance(
                        name, person, row, path, labels, speech.get(name), texts.get(name), own
                    )
                except LabelError:
                    raise  # a label that no map covers concerns the whole corpus
                except CorpusError as error:
                    self.skip(self._id(name, person), str(path), error)
        if unrated:
            self.note("wav or txt files without an annotation", len(unrated))

    def read_signals(
        self, files: Mapping[str, str], utterances: Sequence[Utterance]
    ) -> SignalRecording:
        """Return the rated person's signals, and when utterances were spoken, or heard."""
        return kemdy19_recording(files, [utterance.id for utterance in utterances])

    def _utterance(
        self,
        name: str,
        person: str,
        row: AnnotationRow,
        path: Path,
        labels: Labels,
        speech: str | None,
        transcript: str | None,
        signals: Mapping[str, str],
    ) -> Utterance:
        session, part, turn = name.split("_")
        return Utterance(
            id=self._id(name, person),
            corpus=self.name,
            speaker=session + turn[0],
            session=session,
            signals=signals or None,
            sex="female" if turn[0] == "F" else "male",
            **self._rated(row, path, labels, script=part, rated=session + person),
            **self._said(name, speech, transcript),
        )

    def _id(self, name: str, person: str) -> str:
        return f"{name}_{person}" if self.role == "both" else name

    def _persons(self, name: str) -> str:
        """Return whose ratings of utterance ``name`` the role asks for, one letter each."""
        own = name[-4]
        return {"speaker": own, "listener": _PERSONS[own]}.get(self.role, "FM")

    def _mended(
        self, rows: list[tuple[str, AnnotationRow]], session: str, person: str
    ) -> Iterator[tuple[str, AnnotationRow]]:
        """Yield rows, those known to be wrong put right or left out.

        Nothing is done to a copy in which the true id stands already, or the id of a misplaced
        row stands only once.
        """
        names = [name for name, _ in rows]
        for name, row in rows:
            wrong, true = _WRONG.get((session, person, row.line - 1 - _HEADERS), ("", None))
            if name == wrong and true is not None and true not in names:
                self.note("known wrong ids put right")
                yield true, row
            elif name == wrong and true is None and names.count(name) > 1:
                self.note("known misplaced rows left out")
            else:
                yield name, row


def _annotations(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield session (two digits), rated person (F or M) and path of each annotation file."""
    for name in annotation_names(root, KEMDY19):
        yield name[7:9], name[10].upper(), root / "annotation" / name


def _recordings(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (session, path) of the folders of scripts and improvisations."""
    for session, path in session_folders(folder):
        for name in sorted(os.listdir(path)):
            below = f"{path}{os.sep}{name}"
            if _RECORDING.fullmatch(name) and os.path.isdir(below):
                yield session, below


def _signal_files(folder: Path) -> dict[str, str]:
    """Return the file per session and person, such as ``01F``."""
    files: dict[str, str] = {}
    for session, path in session_folders(folder):
        places = [(Path(below).name.casefold() != "original", below) for below, *_ in os.walk(path)]
        for _, below in sorted(places):
            for name in sorted(os.listdir(below)):
                if found := _SIGNAL.fullmatch(name):
                    files.setdefault(session + found[1].upper(), f"{below}{os.sep}{name}")
    return files

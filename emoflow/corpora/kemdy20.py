"""KEMDy20, the Korean corpus of free speech between two people."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from emoflow.corpora.e4_kemdy import SIGNALS, kemdy20_id, kemdy20_recording
from emoflow.corpora.kemdy_common import (
    KEMDY20,
    KEMDy,
    annotation_names,
    find_root,
    session_folders,
)
from emoflow.data.index import list_files
from emoflow.errors import CorpusError, LabelError
from emoflow.traces import SignalRecording
from emoflow.types import Utterance

__all__ = ["KEMDy20", "find_kemdy20"]

_SIGNAL = re.compile(r"sess\d\d_(script0[1-6]_user\d{3}[mf])\.csv", re.IGNORECASE)


class KEMDy20(KEMDy):
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

    **Signals** ``EDA`` (µS) and ``TEMP`` (°C) at 4 Hz and ``IBI`` (s), one file per script and
    speaker, read as whole recordings on one clock. About 6 % of the utterances lack EDA and TEMP,
    and a quarter lacks IBI; see :func:`emoflow.corpora.e4_kemdy.kemdy20_recording`.

    **Citation** K. J. Noh and H. Jeong, *KEMDy20*, ETRI, 2022; K. J. Noh, C. Y. Jeong, J. Lim,
    S. Chung, G. Kim, J. M. Lim and H. Jeong, "Multi-path and group-loss-based network for speech
    emotion recognition in multi-domain datasets", *Sensors* 21, 1579, 2021.
    """

    name = "kemdy20"
    known: ClassVar[Mapping[str, int]] = {
        "utterances": 13_462,
        "with an emotion": 12_828,
        "speakers": 80,
        "sessions": 40,
        "neutral": 11_120,
        "happy": 1_183,
        "surprise": 156,
        "angry": 144,
        "sad": 121,
        "disgust": 61,
        "fear": 43,
    }

    def files(self) -> Iterable[tuple[str, int, int]]:
        """List the corpus's files, not those of the folder around it."""
        return list_files(find_kemdy20(self.root))

    def utterances(self) -> Iterator[Utterance]:
        """Yield every annotated utterance that has speech or a transcript."""
        root = find_kemdy20(self.root)
        speech, texts = self._files(session_folders(root / "wav"), kemdy20_id)
        signals = {name: _signal_files(root / name) for name in SIGNALS}
        labels = self._cells()
        unannotated = set(speech)
        seen: set[str] = set()
        for session, path in _annotations(root):
            for name, row in self._rows(path, session, kemdy20_id):
                unannotated.discard(name)
                if name in seen:
                    self.note("annotation rows that repeat an utterance (the first one counts)")
                    continue
                seen.add(name)
                if name not in speech and name not in texts:
                    self.note("annotated utterances without a file")
                    continue
                code, script, user, _ = name.split("_")
                recording = name.rpartition("_")[0]
                files = {k: found[recording] for k, found in signals.items() if recording in found}
                try:
                    yield Utterance(
                        id=name,
                        corpus=self.name,
                        speaker=user[:-1],
                        session=code,
                        signals=files or None,
                        sex="female" if user[-1] == "F" else "male",
                        **self._rated(row, path, labels, script=script),
                        **self._said(name, speech.get(name), texts.get(name)),
                    )
                except LabelError:
                    raise  # a label that no map covers concerns the whole corpus
                except CorpusError as error:
                    self.skip(name, str(path), error)
        if unannotated:
            self.note("wav files without an annotation", len(unannotated))

    def read_signals(
        self, files: Mapping[str, str], utterances: Sequence[Utterance]
    ) -> SignalRecording:
        """Return one speaker's signals during one script, and when utterances were spoken."""
        return kemdy20_recording(files, [utterance.id for utterance in utterances])


def find_kemdy20(root: str | Path) -> Path:
    """Return the folder of KEMDy20, see :func:`emoflow.corpora.kemdy_common.find_root`."""
    return find_root(root, KEMDY20)


def _annotations(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield each annotation file with its session, two digits."""
    for name in annotation_names(root, KEMDY20):
        yield name[4:6], root / "annotation" / name


def _signal_files(folder: Path) -> dict[str, str]:
    """Return the file per recording, ``Sess01_script01_User001F``."""
    files: dict[str, str] = {}
    for session, path in session_folders(folder):
        for file in sorted(os.listdir(path)):
            if found := _SIGNAL.fullmatch(file):
                recording = kemdy20_id(f"Sess{session}_{found[1]}_001")
                if recording is not None:
                    files.setdefault(recording[:-4], f"{path}{os.sep}{file}")
    return files

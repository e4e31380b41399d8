"""IEMOCAP, acted English dialogues."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from emoflow.corpora.base import Corpus
from emoflow.data.text_files import read_text, walk
from emoflow.errors import CorpusError
from emoflow.frontends.transcripts import sentence_name
from emoflow.types import Rating, Speech, Utterance, parse_emotion

__all__ = ["IEMOCAP"]

_NAME = re.compile(r"ses(\d\d)([fm])_((?:impro|script)\w*)_([fm])(\d{3})", re.I | re.A)
_DIALOGUE = re.compile(r"ses\d\d[fm]_(?:impro|script)\w*\.txt", re.I | re.A)
_AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
_TIME = r"\s*(\d+(?:\.\d+)?)\s*"
_SUMMARY = re.compile(
    rf"\[{_TIME}-{_TIME}\]\s+(\S+)\s+(\S+)\s+\[([^],]*),([^],]*),([^],]*)\]", re.A
)
_RATER = re.compile(r"([CA])-([EFM]\d+):\s*([^()]*?)\s*(?:\(.*)?", re.I | re.A)
_VALUE = re.compile(r"(val|act|dom)\s*([^;\s]*)\s*;", re.I)
_TRANSCRIPT = re.compile(r"(\S+)\s*\[[^]]*\]\s*:?\s*(.*)")
_ENCODINGS = ("utf-8-sig", "cp1252")
_CODES = {
    "neu": "neutral",
    "neutral state": "neutral",
    "hap": "happy",
    "happiness": "happy",
    "ang": "angry",
    "anger": "angry",
    "sadness": "sad",
    "exc": "excited",
    "fru": "frustrated",
    "frustration": "frustrated",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
}
_NO_EMOTION = {
    "xxx": "utterances on whose emotion the raters do not agree",
    "oth": "utterances whose emotion is none of the names (other)",
    "other": "raters' votes for other",
}
_REPEATED = "that repeat an utterance (the first one counts)"


class IEMOCAP(Corpus):
    """IEMOCAP: scripted and improvised dialogues of two actors, with transcripts and raters.

    **Source** Signal Analysis and Interpretation Laboratory, University of Southern California,
    https://sail.usc.edu/iemocap

    **Licence** The laboratory's own release form, for research; the corpus may not be passed on.

    **How to get it** Ask for it on the page above, unpack it anywhere, and give the folder that
    holds ``Session1`` … ``Session5`` (or the one above it) as ``root``. Read are
    ``dialog/EmoEvaluation/Ses01F_impro01.txt``, ``dialog/transcriptions/`` and
    ``sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav``; the pictures are not needed.

    **Size** 10,039 utterances, about 12 h, 16 kHz: 151 dialogues in five sessions.

    **Speakers** Ten actors, a woman and a man per session (``Ses01F``, ``Ses01M``), who talk to
    each other: hold out sessions, not speakers alone. The actor is the last letter of an
    utterance's name; that of its dialogue says who wore the markers.

    **Labels** What most raters chose: frustrated 1,849, neutral 1,708, angry 1,103, sad 1,084,
    excited 1,041, happy 595, surprise 107, fear 40, disgust 2. 3 are other, and on 2,507
    (``xxx``) the raters do not agree: those have ``votes`` but no ``emotion``. A rater may choose
    several, which share the vote. The usual four classes are neutral, sad, angry, and happy
    together with excited: ``label_map: iemocap-four``.

    **Scales** ``arousal`` (activation), ``valence`` and ``extra["dominance"]`` are means over the
    raters, from 1 to 5; the few numbers outside are typing errors, counted and left out. What the
    actors said of themselves is in ``extra`` (``self_emotion`` …), not among votes and raters.

    **Text** Transcripts, with their tags such as ``[LAUGHTER]``. The scripts recur in all
    sessions, so that sentences do, too.

    **Citation** C. Busso, M. Bulut, C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. Chang, S. Lee and
    S. Narayanan, "IEMOCAP: Interactive emotional dyadic motion capture database", *Language
    Resources and Evaluation* 42, 2008.
    """

    name = "iemocap"
    scale = (1.0, 5.0)
    modalities = ("speech", "text")
    labels = (
        "neutral", "happy", "sad", "angry", "excited", "frustrated", "surprise", "fear", "disgust",
    )  # fmt: skip
    known: ClassVar[Mapping[str, int]] = {
        "utterances": 10_039,
        "with an emotion": 7_529,
        "speakers": 10,
        "sessions": 5,
        "frustrated": 1_849,
        "neutral": 1_708,
        "angry": 1_103,
        "sad": 1_084,
        "excited": 1_041,
        "happy": 595,
        "surprise": 107,
        "fear": 40,
        "disgust": 2,
    }

    def utterances(self) -> Iterator[Utterance]:
        """Yield every evaluated utterance that has speech or a transcript."""
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise CorpusError(f"{root}: no such folder", "give the IEMOCAP folder as data.root")
        evaluations, transcripts, speech = self._find(root)
        if not evaluations:
            raise CorpusError(
                f"{root}: not IEMOCAP: no Session1/dialog/EmoEvaluation/Ses01F_impro01.txt … in it "
                "or below it",
                "give the folder that holds Session1 … Session5 as data.root",
            )
        texts = self._texts(transcripts)
        seen: set[str] = set()
        for path in evaluations:
            for number, summary, lines in self._blocks(path):
                name = _name(summary[3])
                if name is None:
                    self.note("evaluations whose name is not an utterance's")
                elif name in seen:
                    self.note(f"evaluations {_REPEATED}")
                else:
                    seen.add(name)
                    if name in speech or name in texts:
                        where = f"{path}, line {number}"
                        files = speech.get(name), texts.get(name)
                        yield self._utterance(name, summary, lines, files, where)
                    else:
                        self.note("evaluations without speech and without a transcript")
        if unrated := len(speech.keys() - seen):
            self.note("audio files without an evaluation", unrated)
        if unrated := len(texts.keys() - speech.keys() - seen):
            self.note("transcripts without an evaluation and without speech", unrated)

    def _find(self, root: Path) -> tuple[list[str], list[str], dict[str, str]]:
        evaluations, transcripts = [], []
        speech: dict[str, str] = {}
        for path, file in walk(root):
            folder = Path(path).parent.name.casefold()
            if _DIALOGUE.fullmatch(file) and folder == "emoevaluation":
                evaluations.append(path)
            elif _DIALOGUE.fullmatch(file) and folder == "transcriptions":
                transcripts.append(path)
            elif file.casefold().endswith(_AUDIO):
                name = _name(file.rpartition(".")[0])
                if name is not None and speech.setdefault(name, path) != path:
                    self.note(f"audio files {_REPEATED}")
        return evaluations, transcripts, speech

    def _texts(self, paths: Iterable[str]) -> dict[str, str]:
        texts: dict[str, str] = {}
        for path in paths:
            for line in filter(str.strip, read_text(path, _ENCODINGS).splitlines()):
                found = _TRANSCRIPT.fullmatch(line.strip())
                name = found and _name(found[1])
                if not found or not name:
                    self.note("transcript lines that belong to no utterance")
                elif name in texts:
                    self.note(f"transcript lines {_REPEATED}")
                else:
                    texts[name] = " ".join(unicodedata.normalize("NFC", found[2]).split())
        return texts

    def _blocks(self, path: str) -> Iterator[tuple[int, re.Match[str], list[re.Match[str]]]]:
        """Yield each summary line, its number, and the raters' lines directly below it."""
        block: tuple[int, re.Match[str], list[re.Match[str]]] | None = None
        lines = read_text(path, _ENCODINGS).splitlines()
        for number, line in enumerate(map(str.strip, lines), start=1):
            rater, summary = _RATER.fullmatch(line), _SUMMARY.fullmatch(line)
            if block and rater:
                block[2].append(rater)
                continue
            if block:
                yield block
            block = (number, summary, []) if summary else None
            if not summary and line and not line.startswith("%"):
                self.note("lines of evaluation files that cannot be read")
        if block:
            yield block

    def _utterance(
        self,
        name: str,
        summary: re.Match[str],
        lines: Iterable[re.Match[str]],
        files: tuple[str | None, str | None],
        where: str,
    ) -> Utterance:
        start, end, _, code, *means = summary.groups()
        valence, arousal, dominance = (self._on_scale(mean, "means") for mean in means)
        ratings, votes = self._ratings(lines, where)
        speech, text = files
        if speech is None:
            self.note("utterances without a wav file")
        if text is None:
            self.note("utterances without a transcript")
        extra = {
            "dialogue": name.rpartition("_")[0],
            "recording_start": float(start),
            "recording_end": float(end),
            "dominance": dominance,
        }
        for own in (r for r in ratings if r.rater[0] != "E"):
            extra |= {"self_emotion": own.emotion, "self_arousal": own.arousal}
            extra |= {"self_valence": own.valence}
        return Utterance(
            id=name,
            corpus=self.name,
            speaker=name[:5] + name[-4],
            session=f"Session{int(name[3:5])}",
            sentence=sentence_name(text, name),
            speech=None if speech is None else Speech(speech),
            text=text,
            emotion=self._label(code, where),
            votes=votes or None,
            arousal=arousal,
            valence=valence,
            raters=tuple(r for r in ratings if r.rater[0] == "E") or None,
            sex="female" if name[-4] == "F" else "male",
            extra={key: value for key, value in extra.items() if value is not None},
        )

    def _ratings(
        self, lines: Iterable[re.Match[str]], where: str
    ) -> tuple[list[Rating], dict[str, float]]:
        """Return what everyone said, the actor included, and the raters' votes."""
        labels: dict[str, list[str | None]] = {}
        values: dict[str, tuple[float | None, float | None]] = {}
        for kind, rater, content in (line.groups() for line in lines):
            name, categorical = rater.upper(), kind in "Cc"
            if name in (labels if categorical else values):
                self.note("rater lines that repeat a rater (the first one counts)")
            elif categorical:
                cells = [cell for cell in content.split(";") if cell.strip()]
                labels[name] = [self._label(cell, where) for cell in cells]
            else:
                given = {k.casefold(): cell for k, cell in _VALUE.findall(content)}
                arousal, valence = (
                    self._on_scale(given.get(k, ""), "raters' numbers") for k in ("act", "val")
                )
                values[name] = arousal, valence
        votes: dict[str, float] = {}
        for name, chosen in labels.items():
            for label in chosen:
                if label is not None and name[0] == "E":
                    votes[label] = votes.get(label, 0.0) + 1 / len(chosen)
        ratings = [
            Rating(name, _only(labels.get(name, [])), *values.get(name, (None, None)))
            for name in sorted({*labels, *values})
        ]
        return ratings, votes

    def _label(self, cell: str, where: str) -> str | None:
        given, name = self.label_map or {}, cell.strip().casefold()
        if name in _NO_EMOTION and name not in given:
            self.note(_NO_EMOTION[name])
            return None
        aliases = {code: given.get(shared, shared) for code, shared in _CODES.items()} | given
        return parse_emotion(cell, where=where, aliases=aliases)

    def _on_scale(self, cell: str, whose: str) -> float | None:
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if self.scale[0] <= value <= self.scale[1]:
            return value
        self.note(f"{whose} that are missing or outside 1 to 5 (left out)")
        return None


def _name(text: str) -> str | None:
    """Return an utterance's name as the corpus spells it; ``None`` if it is another's."""
    found = _NAME.fullmatch(unicodedata.normalize("NFC", text))
    if not found:
        return None
    session, markers, dialogue, actor, number = found.groups()
    return f"Ses{session}{markers.upper()}_{dialogue.lower()}_{actor.upper()}{number}"


def _only(labels: list[str | None]) -> str | None:
    return labels[0] if len(set(labels)) == 1 else None

"""Multimodal video of AI-Hub, Korean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from emoflow.corpora.base import Corpus
from emoflow.corpora.multimodal_clips import (
    Annotated,
    Clip,
    Groups,
    find_clips,
    read_groups,
    read_labels,
)
from emoflow.data.archives import unpack_first
from emoflow.data.audio import LOWEST_RATE
from emoflow.data.index import FileFact, list_files
from emoflow.data.progress import in_threads
from emoflow.data.video import VideoInfo, inspect_video
from emoflow.errors import ConfigError, CorpusError, LabelError
from emoflow.frontends.transcripts import sentence_name
from emoflow.types import Speech, Utterance, parse_emotion

__all__ = ["MultimodalVideo"]

_Source = Literal["multimodal", "image", "sound", "text"]
_OWN = {"dislike": "dislike"}
_USUAL_FPS = 30.0
_BOXES = 8
_READ_AHEAD = 8
_SLACK_SECONDS = 0.1


@dataclass(frozen=True)
class _Content:
    """What lies in a clip's files."""

    said: list[Annotated]
    situation: str | None
    notes: Counter[str]
    info: VideoInfo
    fps: float


class MultimodalVideo(Corpus):
    """Multimodal video: Korean clips with two or more people, judged from four sides.

    **Source** AI-Hub's 멀티모달 영상 (dataSetSn 58), Korea.

    **Licence** AI-Hub's own: its terms must be accepted; the corpus may not be passed on.

    **How to get it** https://aihub.or.kr/aihubdata/data/view.do?dataSetSn=58 with an account.
    Unpack it with ``emoflow unpack`` and give the folder that holds ``0001-0400`` … (or the one
    above it) as ``root``: ``0001-0400/clip_1/clip_1.json`` and ``clip_1.mp4`` …; folders whose
    name ends in -수정본 go before the uncorrected ones. Videos are read by PyAV: ``pip install
    "emoflow[video]"``.

    **Size** 5,600 clips, about 80,121 utterances.

    **Speakers** Not known: a ``person_id`` counts within its clip, so that ``speaker`` is
    ``clip_1-2``. About 40 clips share a source video, and some people recur; which ones, the
    files do not say. Without more, each clip is a session, and a split by sessions or speakers
    may have a person on both sides. With the option ``groups``, all clips that share a source or
    a person, directly or through others, are one session.

    **Labels** Happy, sad, angry, surprise, fear, dislike, contempt, neutral; valence and arousal
    on a scale that is not documented. Each was judged from everything together (``multimodal``),
    and from the picture (``image``), the sound and the text alone; the option ``source`` says
    which one is the utterance's. The others are in ``extra``: ``image_emotion``,
    ``image_valence``, ``image_arousal`` … Any of them may be missing, those of the picture most
    often. ``dislike`` keeps its name; label_map: {dislike: disgust} makes it the shared one. No
    raters.

    **Text** What is said. Annotations repeat in every picture: an utterance is what has one
    person, start and end; where pictures differ, the first counts.

    **Face** ``face`` is the video. ``extra["boxes"]`` are up to eight boxes, evenly over the
    pictures in which the utterance is annotated: [seconds, left, top, right, bottom], in pixels.
    The box is the whole person, not the face. :func:`emoflow.data.video.read_frames` cuts out
    what is in it. ``extra["situation"]`` is the clip's.

    **Citation** AI-Hub, 멀티모달 영상, https://aihub.or.kr

    Parameters
    ----------
    root
        Folder of the corpus.
    source
        What the utterance's emotion, valence and arousal were judged from.
    groups
        CSV file that says which clips belong together, columns clip_id, source and, as far as
        they are known, person_id and person; a row per clip or per person of a clip.
    options
        Those of every corpus.
    """

    name = "multimodal_video"
    scale = None
    modalities = ("speech", "text", "face")
    labels: ClassVar[tuple[str, ...]] = (
        "happy", "sad", "angry", "surprise", "fear", "dislike", "contempt", "neutral",
    )  # fmt: skip
    known: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self,
        root: str,
        source: _Source = "multimodal",
        groups: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        self.source = source
        self.groups = groups

    def files(self) -> Iterator[FileFact]:
        """Yield the files below the root, and the table of groups."""
        yield from list_files(self.root)
        if self.groups is not None:
            path = Path(self.groups).expanduser()
            if path.is_file():
                facts = path.stat()
                yield FileFact(str(path), facts.st_size, facts.st_mtime_ns)

    def utterances(self) -> Iterator[Utterance]:
        """Yield one utterance per person and span of pictures of a clip."""
        if self.source not in get_args(_Source):
            known = ", ".join(get_args(_Source))
            raise ConfigError(f"data.source: there is no {self.source!r}", f"use one of {known}")
        groups = Groups({}, {})
        if self.groups is not None:
            groups = read_groups(Path(self.groups).expanduser())
        aliases = _OWN | (self.label_map or {})
        for clip, content in in_threads(_read, self._clips(), threads=4, ahead=_READ_AHEAD):
            if isinstance(content, CorpusError):
                self.skip(clip.name, clip.labels, content)
                continue
            self._note(clip, content, groups)
            for one in content.said:
                where = f"{clip.labels}, person {one.person}, {one.start} to {one.end}"
                try:
                    yield self._utterance(clip, content, one, groups, aliases, where)
                except LabelError:
                    raise  # a label that no map covers concerns the whole corpus
                except CorpusError as error:
                    self.skip(_id(clip, one), clip.labels, error)

    def _clips(self) -> list[Clip]:
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise CorpusError(f"{root}: no such folder", "give the corpus's folder as data.root")
        clips = find_clips(root, self.note)
        if not clips:
            raise CorpusError(
                f"{root}: not the multimodal video corpus: no 0001-0400/clip_1/clip_1.json … with "
                "its clip_1.mp4 in it or below it",
                unpack_first(root, "give the folder that holds 0001-0400 … as data.root"),
            )
        return clips

    def _note(self, clip: Clip, content: _Content, groups: Groups) -> None:
        for kind, count in content.notes.items():
            self.note(kind, count)
        picture = content.info.picture
        if picture is None or not picture.fps:
            self.note(f"videos of unknown picture rate ({_USUAL_FPS:g} per second are assumed)")
        if self.groups is not None and clip.name.casefold() not in groups.sessions:
            self.note("clips that the table of groups does not name (each is its own session)")

    def _utterance(
        self,
        clip: Clip,
        content: _Content,
        one: Annotated,
        groups: Groups,
        aliases: Mapping[str, str],
        where: str,
    ) -> Utterance:
        if not 0 <= one.start < one.end:
            raise CorpusError(
                f"{where}: it does not end after it starts",
                "mend script_start and script_end, or skip it with data.on_bad_utterance: skip",
            )
        name, key = _id(clip, one), clip.name.casefold()
        chosen = one.labels.get(self.source, {})
        if "emotion" not in chosen:
            self.note(f"utterances without an emotion judged from {_sides(self.source)}")
        if not one.words:
            self.note("utterances without words")
        return Utterance(
            id=name,
            corpus=self.name,
            speaker=groups.people.get((key, one.person), f"{clip.name}-{one.person}"),
            session=groups.sessions.get(key, clip.name),
            sentence=sentence_name(one.words, name),
            speech=self._spoken(clip, content, one),
            text=one.words,
            face=clip.video if one.boxes and content.info.picture else None,
            emotion=parse_emotion(chosen["emotion"], where=where, aliases=aliases)
            if "emotion" in chosen
            else None,
            arousal=chosen.get("arousal"),
            valence=chosen.get("valence"),
            extra=_extra(one, content, self.source),
        )

    def _spoken(self, clip: Clip, content: _Content, one: Annotated) -> Speech | None:
        sound = content.info.sound
        if sound is None or sound.frames <= 0 or sound.rate < LOWEST_RATE:
            self.note("utterances of videos without usable sound (no speech)")
            return None
        start, end = one.start / content.fps, one.end / content.fps
        if start >= sound.seconds:
            self.note("utterances behind the end of their video (no speech)")
            return None
        if end > sound.seconds + _SLACK_SECONDS:
            self.note("utterances that end behind their video (speech up to its end)")
        return Speech(clip.video, start, min(end, sound.seconds))


def _read(clip: Clip) -> _Content | CorpusError:
    """Return what lies in a clip's files, or what is wrong with them."""
    try:
        said, situation, notes = read_labels(clip.labels)
        if not said:
            raise CorpusError(
                f"{clip.labels}: holds no utterance", "copy the file again from the corpus"
            )
        info = inspect_video(clip.video)
    except CorpusError as error:
        return error
    fps = info.picture.fps if info.picture else None
    return _Content(said, situation, notes, info, fps or _USUAL_FPS)


def _id(clip: Clip, one: Annotated) -> str:
    return f"{clip.name}_{one.person}_{one.start}_{one.end}"


def _sides(source: str) -> str:
    return "everything together" if source == "multimodal" else f"the {source} alone"


def _extra(one: Annotated, content: _Content, source: str) -> dict[str, Any]:
    extra = {
        f"{kind}_{what}": value
        for kind, labels in one.labels.items()
        if kind != source
        for what, value in labels.items()
    }
    if content.situation:
        extra["situation"] = content.situation
    if one.boxes:
        last = len(one.boxes) - 1
        picks = sorted({round(i * last / (_BOXES - 1)) for i in range(_BOXES)})
        extra["boxes"] = [[n / content.fps, *box] for n, box in (one.boxes[i] for i in picks)]
    return extra

"""Several corpora as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from emoflow.corpora.base import BatchOptions, Corpus
from emoflow.corpora.manifest import Manifest
from emoflow.data.protocol import SPLIT_NAMES, Protocol
from emoflow.errors import ConfigError
from emoflow.traces import SignalRecording, SignalTrace
from emoflow.types import MODALITIES, Utterance

__all__ = ["Corpora"]

_BATCH, _PROTOCOL = BatchOptions(), Protocol()


class Corpora(Corpus):
    """Several corpora, trained and tested on together.

    **Source** Those of its parts.

    **Licence** Those of its parts: the strictest one holds.

    **How to get it** Name the parts in ``corpora``, each with its own ``root`` and ``label_map``.

    **Size** The sum of its parts.

    **Speakers** Those of its parts; ``speaker``, ``session`` and ``sentence`` begin with the name
    of their corpus, so that equal names in two corpora stay apart.

    **Labels** Those of its parts; give every part a ``label_map`` into one set. Arousal and
    valence are kept where all parts have one scale, else they are left out and counted. An
    utterance's ``corpus`` says where it comes from; ``emoflow audit`` says how well that alone
    predicts the emotion.

    **Signals** Those of its parts, each read by its own.

    **Protocol** ``protocol`` cuts all of them together; with ``name: official``, each part is cut
    by its own.

    **Citation** Those of its parts.

    Parameters
    ----------
    corpora
        The parts.
    root
        For messages only; every part has its own.
    protocol, options
        As of every corpus.
    """

    name = "corpora"

    def __init__(
        self,
        corpora: list[Corpus],
        root: str = "several corpora",
        protocol: Protocol = _PROTOCOL,
        batch: BatchOptions = _BATCH,
        **options: Any,
    ) -> None:
        if not corpora:
            raise ConfigError("data.corpora is empty", "name at least one corpus")
        super().__init__(root, protocol, batch, **options)
        self._parts = list(corpora)
        scales = {part.scale for part in corpora}
        self.modalities = tuple(  # type: ignore[misc]
            m for m in MODALITIES if any(m in c.modalities for c in corpora)
        )
        self.labels = tuple(  # type: ignore[misc]
            dict.fromkeys(label for c in corpora for label in c.labels)
        )
        self.scale = scales.pop() if len(scales) == 1 else None  # type: ignore[misc]
        self._one_scale = not scales

    def files(self) -> Iterable[tuple[str, int, int]]:
        """List the files of every part."""
        return {(str(p), s, t): None for part in self._parts for p, s, t in part.files()}

    def utterances(self) -> Iterator[Utterance]:
        """Yield the utterances of every part."""
        for part in self._parts:
            for utterance in part._gather(self._findings):
                yield self._adapted(utterance, part.name)

    def official_split(self) -> Mapping[str, str] | None:
        """Return key to split under every part's own protocol, if that is asked for."""
        if self.protocol.name != "official":
            return None
        return {
            key: name
            for part in self._parts
            for name in SPLIT_NAMES
            for key in part.splits.keys[name]
        }

    def read_signals(
        self, files: Mapping[str, str], utterances: Sequence[Utterance]
    ) -> SignalRecording:
        """Return what the part reads whose utterances these are.

        Raises
        ------
        ConfigError
            If that part does not read biosignals.
        """
        traces: dict[str, SignalTrace] = {}
        spans: dict[str, tuple[float, float]] = {}
        for name in dict.fromkeys(utterance.corpus for utterance in utterances):
            own = [utterance for utterance in utterances if utterance.corpus == name]
            recording = self._part(name).read_signals(files, own)
            traces = {**recording.traces, **traces}
            spans = {**recording.spans, **spans}
        return SignalRecording(traces, spans)

    def _part(self, name: str) -> Corpus:
        """Return the part that gave utterances of corpus ``name``; a table may call it anything."""
        parts = list(self._leaves())
        named = [part for part in parts if part.name == name]
        tables = [part for part in parts if isinstance(part, Manifest)]
        return (named or tables or parts)[0]

    def _leaves(self) -> Iterator[Corpus]:
        for part in self._parts:
            yield from part._leaves() if isinstance(part, Corpora) else (part,)

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "parts": [part._options() for part in self._parts]}

    def _adapted(self, one: Utterance, name: str) -> Utterance:
        changes: dict[str, Any] = {
            unit: f"{name}/{value}"
            for unit in ("speaker", "session", "sentence")
            if (value := getattr(one, unit)) is not None
        }
        if not self._one_scale and (one.arousal, one.valence) != (None, None):
            self.note("ratings left out because the parts have different scales")
            changes |= {"arousal": None, "valence": None}
        if self.label_map:
            named = self.label_map
            if one.emotion is not None:
                changes["emotion"] = named.get(one.emotion.casefold(), one.emotion)
            if one.votes is not None:
                votes: dict[str, float] = {}
                for label, count in one.votes.items():
                    label = named.get(label.casefold(), label)
                    votes[label] = votes.get(label, 0.0) + count
                changes["votes"] = votes
        return one.with_(**changes)

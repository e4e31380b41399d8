"""The demo corpus: KEMDy20's layout, made up by the machine that reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from emoflow.corpora.kemdy20 import KEMDy20, find_kemdy20
from emoflow.data.paths import cache_folder
from emoflow.errors import CorpusError
from emoflow.testing import write_demo_corpus
from emoflow.types import Target

__all__ = ["Demo"]

_LABELS = {"neutral", "sad", "happy", "surprise", "angry"}
"""The emotions for which the ceiling was computed."""


class Demo(KEMDy20):
    """A synthetic corpus in KEMDy20's layout, for trying emoflow out.

    **Source** :func:`emoflow.testing.write_demo_corpus`. Nobody spoke and nobody rated: no score
    on it says anything about people.

    **Licence** Apache-2.0, like emoflow.

    **How to get it** It writes itself when it is first used, into the cache folder or into
    ``root``; ``emoflow demo-corpus`` writes it anywhere.

    **Size** 1,344 utterances of 1 to 4 s with the default of 12 sessions; 16 kHz mono.

    **Speakers** Two per session, with voices of their own.

    **Labels** As KEMDy20's, neutral-heavy, from ten simulated raters who disagree. Arousal is
    audible in pitch, loudness and tempo, valence is in the words, emotions need both; biosignals
    show, dimly, what else the raters saw of a person, and help with emotions only.
    ``ceiling.json`` beside the corpus holds what an ideal observer scores.

    **Citation** None.

    Parameters
    ----------
    root
        Where it lies, or is written if nothing is there yet; by default in the cache folder.
    sessions
        1 to 40 sessions of two speakers each.
    utterances_per_speaker
        How many of them.
    corpus_seed
        Another seed gives other speakers, sentences and raters.
    options
        Those of every corpus.
    """

    name = "demo"
    known: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self,
        root: str | None = None,
        sessions: int = 12,
        utterances_per_speaker: int = 56,
        corpus_seed: int = 0,
        **options: Any,
    ) -> None:
        size = f"{sessions}x{utterances_per_speaker}"
        super().__init__(root or str(cache_folder() / f"demo-{size}-{corpus_seed}"), **options)
        self.sessions = sessions
        self.utterances_per_speaker = utterances_per_speaker
        self.corpus_seed = corpus_seed
        self._own = root is None
        self._written = False

    def prepare_data(self) -> None:
        """Write the corpus if it is not there, then read it into the caches."""
        self._write()
        super().prepare_data()

    def files(self) -> Iterable[tuple[str, int, int]]:
        """List the corpus's files, written first if there are none."""
        self._write()
        return super().files()

    def ceiling(self, target: Target, labels: Sequence[str] = ()) -> Mapping[str, Any] | None:
        """Return an ideal observer's scores, if they fit ``labels``.

        Returns
        -------
        mapping or None
            Subset of speech, text and signals to metric to score, for all seven subsets; for the
            three without signals where an older version wrote the corpus.
        """
        if target == "emotion" and labels and set(labels) != _LABELS:
            return None
        try:
            content = (find_kemdy20(self.root) / "ceiling.json").read_text(encoding="utf-8")
            scores = json.loads(content)
            return {subset: _of_target(found, target) for subset, found in scores.items()} or None
        except (CorpusError, OSError, ValueError, TypeError, AttributeError):
            return None

    def _write(self) -> None:
        if not self._written and (self._own or _is_empty(self.root)):
            write_demo_corpus(
                self.root,
                sessions=self.sessions,
                utterances_per_speaker=self.utterances_per_speaker,
                seed=self.corpus_seed,
            )
        self._written = True


def _of_target(scores: Mapping[str, float], target: Target) -> dict[str, float]:
    regression = ("rmse_", "ccc_")
    if target == "emotion":
        return {name: score for name, score in scores.items() if not name.startswith(regression)}
    return {name: scores[name] for name in (p + target for p in regression) if name in scores}


def _is_empty(root: str) -> bool:
    folder = Path(root).expanduser()
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))

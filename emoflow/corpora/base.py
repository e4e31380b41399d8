"""What every corpus shares: index, checks, protocol, audit, batches."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import lightning as L
import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from emoflow.corpora.checking import find_shortcuts, listen, source_digest
from emoflow.corpora.loading import BatchOptions, make_loader
from emoflow.corpora.records import protocol_facts, rows_frame
from emoflow.corpora.selection import Selection, TextCopies, select
from emoflow.corpora.signals import SignalReader, signal_reader
from emoflow.corpora.targets import Ties, emotions
from emoflow.data.audit import Audit, audit
from emoflow.data.checks import SpeechFacts
from emoflow.data.index import Findings, Index, Skip, list_files, load_index
from emoflow.data.protocol import SPLIT_NAMES, Protocol, Splits, make_splits
from emoflow.data.shortcuts import Shortcut
from emoflow.data.speech import SpeechReader
from emoflow.data.store import FeatureStore
from emoflow.data.table import UtteranceTable
from emoflow.errors import ConfigError, EmoflowError
from emoflow.frontends.augment_text import TextAugmentation
from emoflow.labels import label_map as named_map
from emoflow.traces import SignalRecording
from emoflow.types import Batch, Modality, Needs, Target, Utterance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BatchOptions", "Corpus"]

_Rows = NDArray[np.int64]


_BATCH, _PROTOCOL = BatchOptions(), Protocol()


class Corpus(L.LightningDataModule):
    """A corpus: a subclass yields utterances, everything else is here.

    A subclass sets ``name``, ``scale`` and ``modalities`` and writes one generator,
    :meth:`utterances`. Options of its own are attributes without an underscore, set in its
    constructor; when one of them changes, the corpus is read anew.

    The order of calls is Lightning's: ``prepare_data``, ``setup``, then the loaders. What a
    task needs is read from ``trainer.lightning_module.needs``, or from :attr:`needs` set by
    hand; without either, batches carry speech and all ratings.

    Parameters
    ----------
    root
        Folder of the corpus, as its data card says.
    protocol
        Which utterance is in which split.
    batch
        How utterances are gathered into batches.
    on_bad_utterance
        What to do with an utterance that cannot be used: error stops, skip leaves it out,
        counts it and lists it in the report.
    ties
        What to do when raters tie. soft: keep it, with its votes as soft labels; drop: leave
        it out; first: take the label that the corpus names first.
    label_map
        Your names for the corpus's labels, such as {dislike: disgust}; or the name of a map in
        :data:`emoflow.labels.LABEL_MAPS`, such as korean-to-shared.
    balanced_sampling
        Draw training utterances so that every emotion is seen equally often.
    text_augmentation
        How augmented copies of training texts are made; needs augment_labels.
    augment_labels
        Augmented copies per label, in percent of the label's training utterances, such as
        {sad: 250}.
    seed
        Of batches, sampling and text augmentation; none takes that of the run.
    """

    name: str = "corpus"
    scale: ClassVar[tuple[float, float] | None] = None
    """Lowest and highest arousal and valence."""
    modalities: ClassVar[tuple[Modality, ...]] = ("speech", "text")
    labels: ClassVar[tuple[str, ...]] = ()
    """Emotions that it has without a label_map."""
    known: ClassVar[Mapping[str, int]] = {}
    """Counts of the whole corpus as it is given out, such as {"utterances": 13462}."""

    def __init__(
        self,
        root: str,
        protocol: Protocol = _PROTOCOL,
        batch: BatchOptions = _BATCH,
        on_bad_utterance: Literal["error", "skip"] = "error",
        ties: Ties = "soft",
        label_map: dict[str, str] | str | None = None,
        balanced_sampling: bool = False,
        text_augmentation: TextAugmentation | None = None,
        augment_labels: dict[str, float] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.root = root
        self.protocol = protocol
        self.batch = batch
        self.on_bad_utterance = on_bad_utterance
        self.ties = ties
        self.label_map = named_map(label_map)
        self.balanced_sampling = balanced_sampling
        self.text_augmentation = text_augmentation
        self.augment_labels = augment_labels
        self.seed = seed or 0
        self.needs: Needs | None = None
        self.stores: dict[Modality, list[FeatureStore]] = {}
        """Modality to views of a frozen encoder's output; batches carry it when it is set."""
        self.warnings: list[str] = []
        """What every report has to say aloud."""
        self._findings = Findings(on_bad_utterance)
        self._index: Index | None = None
        self._splits: Splits | None = None
        self._audit: Audit | None = None
        self._heard: SpeechFacts | None = None
        self._shortcuts: tuple[Shortcut, ...] | None = None
        self._selection: Selection | None = None
        self._signals: SignalReader | None = None

    # ---- what a subclass adds -------------------------------------------------------

    def utterances(self) -> Iterator[Utterance]:
        """Yield every utterance, in any order.

        Call :meth:`note` for an oddity that is survived, :meth:`skip` for an utterance that
        cannot be used, and raise for what makes the whole corpus unusable. Audio files are
        checked afterwards.
        """
        raise NotImplementedError

    def files(self) -> Iterable[tuple[str, int, int]]:
        """List (path, bytes, time of change in ns): when it changes, the corpus is read anew."""
        return list_files(self.root)

    def official_split(self) -> Mapping[str, str] | None:
        """Return key to train, validation or test, if the corpus comes with a split."""
        return None

    def ceiling(self, target: Target, labels: Sequence[str] = ()) -> Mapping[str, Any] | None:
        """Return the best scores that the labels allow, where they are known.

        Per metric; or such a mapping per subset of modalities, such as ``speech+text``.
        """
        return None

    def read_signals(
        self, files: Mapping[str, str], utterances: Sequence[Utterance]
    ) -> SignalRecording:
        """Return what a recording's signal files hold, and where its utterances lie in it.

        Called once for all utterances whose ``signals`` are these ``files``. What is missing or
        broken in a file is left out of the traces; an utterance whose place is not known has no
        span.
        """
        raise ConfigError(
            f"{self.name}: its biosignals cannot be read", "leave signals out of the task's net"
        )

    def note(self, kind: str, count: int = 1) -> None:
        """Count an oddity that was survived; reports list it."""
        self._findings.note(kind, count)

    def skip(self, id: str, file: str | Path, reason: str | EmoflowError) -> None:
        """Leave an utterance out and list it, or raise, as ``on_bad_utterance`` says."""
        self._findings.skip(id, file, reason)

    # ---- what is known of the corpus ------------------------------------------------

    @property
    def table(self) -> UtteranceTable:
        """Every usable utterance; rows count through it."""
        return self._read().table

    @property
    def skipped(self) -> tuple[Skip, ...]:
        """Utterances that were left out, and why."""
        return self._read().skipped

    @property
    def notes(self) -> Mapping[str, int]:
        """Oddities that were survived: kind to count."""
        return self._read().notes

    @property
    def splits(self) -> Splits:
        """Rows of each split, over the whole corpus: the same for every task."""
        self.make_splits()
        assert self._splits is not None
        return self._splits

    @property
    def audit(self) -> Audit:
        """What the splits share."""
        self.make_splits()
        assert self._audit is not None
        return self._audit

    @property
    def heard(self) -> SpeechFacts:
        """What decoding tells of every utterance's speech."""
        self._read()
        assert self._heard is not None
        return self._heard

    @property
    def shortcuts(self) -> tuple[Shortcut, ...]:
        """How well origin, speaker or recording alone predict the emotion."""
        if self._shortcuts is None:
            self._shortcuts = find_shortcuts(self.table, self.heard, emotions(self.table, "drop"))
        return self._shortcuts

    def _read(self) -> Index:
        if self._index is None:
            index = load_index(
                self.name,
                self._options(),
                self.files,
                self._gather,
                self.on_bad_utterance,
                scale=self.scale,
                where=str(self.root),
            )
            self._index, self._heard = listen(index, self.name, self.on_bad_utterance)
        return self._index

    def _gather(self, findings: Findings) -> Iterable[Utterance]:
        self._findings = findings
        return self.utterances()

    def _options(self) -> dict[str, Any]:
        """Return whatever changes what :meth:`utterances` yields, its own source included."""
        shared = {*vars(L.LightningDataModule()), *_SHARED}
        own = {k: v for k, v in vars(self).items() if k not in shared and not k.startswith("_")}
        return {"root": str(Path(self.root).absolute()), "label_map": self.label_map} | {
            **own,
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "source": source_digest(type(self), Corpus),
        }

    # ---- splits and what a task needs -----------------------------------------------

    def prepare_data(self) -> None:
        """Read, check and decode the corpus into the caches; Lightning calls it once."""
        table, needs = self._read().table, self._needs()
        if "speech" in needs.modalities:
            SpeechReader(table).prepare()
        self._signals = signal_reader(table, needs, self.read_signals)

    def make_splits(self) -> None:
        """Split the corpus and audit the splits, without refusing anything yet."""
        if self._splits is None:
            table = self.table
            official = self.official_split() if self.protocol.name == "official" else None
            self._splits = make_splits(table, self.protocol, official)
            self._audit = audit(table, self._splits, speech_hash=self.heard.hash)

    def setup(self, stage: str | None = None) -> None:
        """Split, audit, and keep what the task can use.

        Raises
        ------
        ProtocolError
            If splits share what they must not, or a split has nothing (or one emotion
            only) for this task.
        """
        needs = self._needs()
        trainer = self.trainer
        if trainer is not None and trainer.world_size > 1 and _replaces_samplers(trainer):
            raise ConfigError(
                "with several processes the Trainer would replace the corpus's own batches",
                "Give the Trainer use_distributed_sampler=False.",
            )
        loud = self.audit.enforce(self.protocol)
        self._speech = SpeechReader(self.table)
        self._signals = signal_reader(self.table, needs, self.read_signals)
        self._selection = select(
            self.table,
            {name: self.splits.rows(name) for name in SPLIT_NAMES},
            needs,
            ties=self.ties,
            copies=TextCopies(self.text_augmentation, self.augment_labels or {}, self.seed),
            label_map=self.label_map,
        )
        if needs.target in (None, "emotion"):
            loud += [s.line() for s in self.shortcuts if s.loud]
        for line in [*loud, *self._selection.warnings()]:
            if line not in self.warnings:
                self.warnings.append(line)
                _say(f"{self.name}: {line}")

    def _needs(self) -> Needs:
        module = getattr(self.trainer, "lightning_module", None)
        needs = getattr(module, "needs", None) or self.needs
        if needs is not None:
            return needs
        spoken = self.table.present("speech_path").any()
        return Needs(modalities=("speech",) if spoken else ())

    @property
    def _ready(self) -> Selection:
        if self._selection is None:
            raise ConfigError(
                f"{self.name}: asked for batches before setup",
                "Call prepare_data() and setup(), or let a Trainer do it.",
            )
        return self._selection

    # ---- loaders --------------------------------------------------------------------

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return training batches; an epoch's batches depend on the seed and the epoch only."""
        selection = self._ready
        selection.of("train")
        return self._loader(selection.train, training=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return validation batches."""
        return self._loader(self._ready.of("validation"))

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return test batches."""
        return self._loader(self._ready.of("test"))

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Return test batches."""
        return self.test_dataloader()

    def loader(self, rows: Sequence[int] | _Rows) -> DataLoader[Batch]:
        """Return batches of any rows, each once, in the order that reads fastest."""
        return self._loader(np.asarray(rows, dtype=np.int64))

    def training_batches(self, modalities: Sequence[Modality]) -> DataLoader[Batch]:
        """Return batches of the training utterances, each once and none augmented."""
        return make_loader(
            self._ready,
            self._ready.of("train"),
            self.batch,
            self._speech,
            signals=self._signals,
            modalities=modalities,
            stores=self.stores,
        )

    def _loader(self, rows: _Rows, *, training: bool = False) -> DataLoader[Batch]:
        trainer = self.trainer
        return make_loader(
            self._ready,
            rows,
            self.batch,
            self._speech,
            signals=self._signals,
            stores=self.stores,
            training=training,
            balanced=self.balanced_sampling,
            seed=self.seed,
            epoch=trainer.current_epoch if training and trainer is not None else 0,
            place=(0, 1) if trainer is None else (trainer.global_rank, trainer.world_size),
        )

    # ---- for stores of frozen encoders ----------------------------------------------

    def content_rows(self, modality: Modality, *, training_only: bool = False) -> _Rows:
        """Return the rows whose speech or text a frozen encoder has to read.

        Rows behind the table's are augmented copies of training texts.
        """
        selection = self._ready
        parts = [selection.train]
        if not training_only:
            parts += [selection.rows["validation"], selection.rows["test"]]
        rows = np.unique(np.concatenate(parts))
        if modality == "speech":
            rows = rows[rows < len(self.table)]
        return np.asarray(rows[selection.contents.has(modality, rows)])

    def content_key(self, row: int, modality: Modality) -> str:
        """Return a name for what an encoder reads of a row: equal content, equal name."""
        return self._ready.contents.key(int(row), modality)

    def content_batches(self, rows: Sequence[int] | _Rows, modality: Modality) -> Iterable[Batch]:
        """Return batches of one modality, from files and texts even where a store is set.

        ``Batch.rows`` are the ``rows`` given, those of augmented copies too.
        """
        numbers = np.asarray(rows, dtype=np.int64)
        return make_loader(
            self._ready, numbers, self.batch, self._speech, modalities=(modality,), copies=True
        )

    # ---- for tasks and reports ------------------------------------------------------

    def training_targets(self, target: Target) -> NDArray[Any]:
        """Return the training split's class numbers, or its arousal or valence."""
        targets = self._ready.contents.targets
        values: dict[Target, NDArray[Any]] = {
            "emotion": targets.learned,
            "arousal": targets.arousal,
            "valence": targets.valence,
        }
        return np.asarray(values[target][self._ready.rows["train"]])

    def truth(self, rows: Sequence[int] | _Rows, target: Target, labels: Sequence[str] = ()) -> Any:
        """Return what outputs are scored against: label names (``None`` for ties), or values."""
        numbers = np.asarray(rows, dtype=np.int64)
        if target != "emotion":
            return self.table.column(target, numbers)
        named = emotions(self.table, self.ties)[numbers]
        return np.array([e if not labels or e in labels else None for e in named], dtype=object)

    def rows_frame(self, rows: Sequence[int] | _Rows) -> pd.DataFrame:
        """Return what a report says of utterances, one row each.

        ``votes`` is JSON text; ``agreement`` the share of votes for the commonest emotion.
        """
        numbers = np.asarray(rows, dtype=np.int64)
        return rows_frame(self.table, numbers, self.truth(numbers, "emotion"))

    def protocol_record(self) -> dict[str, Any]:
        """Return plain data for checkpoints: the protocol, and which utterances were seen."""
        seen = {name: list(self.splits.keys[name]) for name in ("train", "validation")}
        return {"corpus": self.name, **protocol_facts(self.splits), "seen": seen}

    def protocol_summary(self) -> dict[str, Any]:
        """Return plain data for reports: the protocol, and what the audit found."""
        left_out = {
            "utterances": len(self.splits.left_out),
            "reason": self.splits.left_out_reason,
        }
        facts = protocol_facts(self.splits)
        found = [*self.audit.lines(), *(s.line() for s in self.shortcuts)]
        return {**facts, "left_out": left_out, "audit": found}

    def describe_lines(self) -> list[str]:
        """Return what is known of the corpus and its splits, line by line."""
        lines = [f"{self.name}: {len(self.table)} utterances in {self.root}"]
        lines += [f"note: {count} {kind}" for kind, count in sorted(self.notes.items())]
        lines += [f"skipped {s.id} ({s.file}): {s.reason}" for s in self.skipped]
        counts = ", ".join(f"{name} {count}" for name, count in self.splits.counts.items())
        lines.append(f"splits: {counts}; fingerprint {self.splits.fingerprint[:12]}")
        return [*lines, *self.audit.lines(), *(s.line() for s in self.shortcuts)]


_SHARED = frozenset(
    name for name in inspect.signature(Corpus.__init__).parameters if name != "self"
) | {"needs", "stores", "warnings"}


@rank_zero_only
def _say(line: str) -> None:
    logging.getLogger(__name__).warning(line)


def _replaces_samplers(trainer: L.Trainer) -> bool:
    connector = getattr(trainer, "_accelerator_connector", None)
    return bool(getattr(connector, "use_distributed_sampler", False))

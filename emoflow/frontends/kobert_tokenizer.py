"""KoBERT's tokenizer, for both forms in which its vocabulary is handed round."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece

from emoflow.errors import WeightsError

__all__ = ["KOBERT", "KoBERTTokenizer"]

KOBERT = "skt/kobert-base-v1"
"""Name of KoBERT's weights and vocabulary on the Hugging Face hub."""

_FIX = (
    f"give a folder that holds spiece.model of {KOBERT}, or tokenizer_78b3253a26.model together "
    "with kobertvocab_f38b8a4d6d.json"
)


class KoBERTTokenizer:
    """``[CLS]`` pieces ``[SEP]``, with the ids of KoBERT; the pad id is 1.

    The hub's ``spiece.model`` counts its pieces as KoBERT does. The older pair,
    ``tokenizer_78b3253a26.model`` and ``kobertvocab_f38b8a4d6d.json``, does not: there a piece is
    looked up in the vocabulary. As in the original, accents are dropped and doubled quotes
    become ``"``; case is kept.

    Parameters
    ----------
    model
        Content of the SentencePiece file.
    vocabulary
        Tokens in the order of their ids, for the older pair; ``None`` for ``spiece.model``.

    Raises
    ------
    WeightsError
        If the content is not a SentencePiece model, or lacks a special token.
    """

    def __init__(self, model: bytes, vocabulary: Sequence[str] | None = None) -> None:
        self._model = bytes(model)
        self._vocabulary = None if vocabulary is None else tuple(vocabulary)
        self._pieces = sentencepiece.SentencePieceProcessor()
        try:
            self._pieces.LoadFromSerializedProto(self._model)
        except RuntimeError as error:
            raise WeightsError("KoBERT's vocabulary is not a SentencePiece model", _FIX) from error
        names = [self._pieces.id_to_piece(n) for n in range(self._pieces.get_piece_size())]
        ids = {token: n for n, token in enumerate(names if vocabulary is None else vocabulary)}
        lacking = [t for t in ("[UNK]", "[PAD]", "[CLS]", "[SEP]") if t not in ids]
        if lacking:
            raise WeightsError(
                f"KoBERT's vocabulary has no {', '.join(lacking)}: "
                "it is half of the older pair, or another model's",
                _FIX,
            )
        self.vocabulary_size = len(ids)
        self.pad_id = ids["[PAD]"]
        self._unknown, self._begin, self._end = ids["[UNK]"], ids["[CLS]"], ids["[SEP]"]
        self._ids = [ids.get(name, self._unknown) for name in names]

    def pieces(self, text: str) -> list[str]:
        """Return the pieces of ``text``, without special tokens."""
        return list(self._pieces.encode(_plain(text), out_type=str))

    def encode(self, text: str, max_tokens: int) -> list[int]:
        """Return at most ``max_tokens`` ids (at least 1), special tokens included."""
        ids = self._ids
        inner = [ids[piece] for piece in self._pieces.encode(_plain(text), out_type=int)]
        return [self._begin, *inner[: max(max_tokens - 2, 0)], self._end][: max(max_tokens, 1)]

    def to_state(self) -> dict[str, Any]:
        """Return plain data for :meth:`from_state`."""
        import torch

        return {
            "kind": "kobert",
            "model": torch.frombuffer(bytearray(self._model), dtype=torch.uint8),
            "vocabulary": None if self._vocabulary is None else list(self._vocabulary),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> KoBERTTokenizer:
        """Return the tokenizer that gave ``state``."""
        return cls(state["model"].cpu().numpy().tobytes(), state["vocabulary"])

    def __getstate__(self) -> tuple[bytes, tuple[str, ...] | None]:
        return self._model, self._vocabulary

    def __setstate__(self, state: tuple[bytes, tuple[str, ...] | None]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    @classmethod
    def from_files(cls, model: str | Path, vocabulary: str | Path | None = None) -> KoBERTTokenizer:
        """Return the tokenizer of a SentencePiece file and, for the older pair, its vocabulary.

        Raises
        ------
        WeightsError
            If a file is missing or is not what its name says.
        """
        try:
            content = Path(model).read_bytes()
            tokens = None
            if vocabulary is not None:
                tokens = json.loads(Path(vocabulary).read_text(encoding="utf-8"))["idx_to_token"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"KoBERT's vocabulary cannot be read: {error}", _FIX) from error
        return cls(content, tokens)

    @classmethod
    def from_folder(cls, folder: str | Path) -> KoBERTTokenizer:
        """Return the tokenizer whose vocabulary, in either form, lies in ``folder``.

        Raises
        ------
        WeightsError
            If it does not.
        """
        folder = Path(folder)
        if (folder / "spiece.model").is_file():
            return cls.from_files(folder / "spiece.model")
        models = sorted(folder.glob("*.model"))
        vocabularies = sorted(folder.glob("kobertvocab*.json"))
        if models and vocabularies:
            return cls.from_files(models[0], vocabularies[0])
        raise WeightsError(f"{folder}: no vocabulary of KoBERT lies here", _FIX)

    @classmethod
    def from_hub(cls, name: str = KOBERT) -> KoBERTTokenizer:
        """Return the tokenizer of ``name`` on the hub, from the local copy if there is one.

        Raises
        ------
        WeightsError
            If there is neither a network nor a copy.
        """
        from huggingface_hub import hf_hub_download

        try:
            model = hf_hub_download(name, "spiece.model")
        except Exception as error:  # the hub raises many kinds: offline, missing, refused
            raise WeightsError(
                f"the vocabulary of {name} is not on this machine, and the hub did not give it "
                f"({type(error).__name__})",
                f"connect once and run `hf download {name}`, or {_FIX}",
            ) from error
        return cls.from_files(model)


def _plain(text: str) -> str:
    text = " ".join(text.split()).replace("``", '"').replace("''", '"')
    if text.isascii():
        return text
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))

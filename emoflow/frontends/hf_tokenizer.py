"""Any fast tokenizer of the Hugging Face hub, kept as one JSON text."""

from __future__ import annotations

from typing import Any

from emoflow.errors import WeightsError

__all__ = ["HFTokenizer"]


class HFTokenizer:
    """A tokenizer in the JSON form of the ``tokenizers`` library.

    The checkpoint keeps the JSON, so that a fitted task needs neither the hub nor the folder.

    Parameters
    ----------
    definition
        Content of a ``tokenizer.json``.
    pad_id
        Id that fills up a batch; masked, so any id will do where a tokenizer has none.
    """

    def __init__(self, definition: str, pad_id: int) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(definition)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._definition = definition
        self.pad_id = pad_id
        self.vocabulary_size = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self._special = self._tokenizer.num_special_tokens_to_add(False)
        self._max_tokens = 0

    def encode(self, text: str, max_tokens: int) -> list[int]:
        """Return at most ``max_tokens`` ids (at least 1), special tokens included.

        Where the tokenizer knows no special tokens, an empty text becomes one pad id.
        """
        max_tokens = max(max_tokens, 1)
        if max_tokens <= self._special:
            text = ""
        elif max_tokens != self._max_tokens:
            self._tokenizer.enable_truncation(max_tokens)
            self._max_tokens = max_tokens
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids[:max_tokens] or [self.pad_id]

    def to_state(self) -> dict[str, Any]:
        """Return plain data for :meth:`from_state`."""
        return {"kind": "hf", "definition": self._definition, "pad_id": self.pad_id}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> HFTokenizer:
        """Return the tokenizer that gave ``state``."""
        return cls(state["definition"], state["pad_id"])

    def __getstate__(self) -> tuple[str, int]:
        return self._definition, self.pad_id

    def __setstate__(self, state: tuple[str, int]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    @classmethod
    def from_pretrained(cls, name: str) -> HFTokenizer:
        """Return the tokenizer of a hub name or a local folder.

        Raises
        ------
        WeightsError
            If it is not on this machine and the hub does not give it, or it has no fast form.
        """
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(name)
        except Exception as error:  # many kinds: offline, missing, refused, unknown class
            said = (str(error).strip().splitlines() or ["no reason given"])[0]
            raise WeightsError(
                f"the tokenizer of {name} could not be loaded ({type(error).__name__}: {said})",
                f"connect once and run `hf download {name}`, or give a local folder that holds its "
                "tokenizer.json",
            ) from error
        fast = getattr(tokenizer, "backend_tokenizer", None)
        if fast is None:
            raise WeightsError(
                f"the tokenizer of {name} has no fast form (tokenizer.json)",
                "use a text encoder whose tokenizer has one",
            )
        return cls(fast.to_str(), 0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id)

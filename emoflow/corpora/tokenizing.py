"""A corpus's texts to token ids; those of a large corpus are kept."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from emoflow import __version__
from emoflow.corpora.checking import source_digest
from emoflow.corpora.reading import Tokens
from emoflow.data.paths import atomic_path, cache_folder, clear_old
from emoflow.data.progress import batches, progress
from emoflow.data.table import UtteranceTable
from emoflow.types import Tokenizer

__all__ = ["encode_texts", "read_tokens"]

_KEPT_FROM = 20_000  # utterances
_TEXTS_AT_ONCE = 16_384


def read_tokens(table: UtteranceTable, tokenizer: Tokenizer, max_tokens: int) -> Tokens:
    """Return the token ids of every utterance's text.

    From 20,000 utterances on they are kept under the cache folder, by the texts and by the
    tokenizer's state and source.

    Raises
    ------
    StorageError
        If the cache cannot be written.
    """
    if len(table) < _KEPT_FROM:
        return encode_texts(_texts(table), tokenizer, max_tokens)
    recipe = [__version__, source_digest(type(tokenizer), object), max_tokens]
    recipe += [tokenizer.to_state(), table.digest("text")]
    text = json.dumps(recipe, sort_keys=True, default=_plain)
    name = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    path = cache_folder() / "tokens" / f"{name}.npz"
    tokens = _load(path)
    if tokens is None:
        tokens = encode_texts(_texts(table), tokenizer, max_tokens)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, ids=tokens.ids, starts=tokens.starts)
        clear_old(path.parent, keep=path.stem)
    return tokens


def encode_texts(texts: Iterable[str | None], tokenizer: Tokenizer, max_tokens: int) -> Tokens:
    """Tokenize; a text that is ``None`` has no ids."""
    ids, counts = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
    for some in batches(progress(texts, "Tokenizing", unit="text"), _TEXTS_AT_ONCE):
        found = [[] if t is None else tokenizer.encode(t, max_tokens) for t in some]
        ids.append(np.fromiter(chain.from_iterable(found), np.int32))
        counts.append(np.fromiter(map(len, found), np.int64))
    return Tokens(np.concatenate(ids), np.cumsum(np.concatenate(counts)))


def _texts(table: UtteranceTable) -> Iterator[str | None]:
    for start in range(0, len(table), _TEXTS_AT_ONCE):
        rows = np.arange(start, min(start + _TEXTS_AT_ONCE, len(table)))
        yield from table.column("text", rows)


def _load(path: Path) -> Tokens | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Tokens(kept["ids"], kept["starts"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # absent or broken: made anew


def _plain(tensor: Any) -> Any:
    return tensor.tolist()

"""Reads an offline W&B run: LevelDB record framing around protobuf records."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32_768


def records(path: Path) -> Iterator[Any]:
    """Yield every ``wandb_internal_pb2.Record`` of a ``.wandb`` file."""
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    place, parts = 7, b""  # ':W&B', a magic number and a version come first
    while place + 7 <= len(data):
        left = BLOCK - place % BLOCK
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        if kind == 0:
            place += left
            continue
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def read(path: Path) -> dict[str, Any]:
    """Return group, job type, config updates, history rows and summary of a run."""
    run: dict[str, Any] = {"configs": [], "history": [], "group": None, "job_type": None}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run["group"], run["job_type"] = record.run.run_group, record.run.job_type
            run["name"], run["project"] = record.run.display_name, record.run.project
            run["configs"].append(_items(record.run.config.update))
        elif kind == "config":
            run["configs"].append(_items(record.config.update))
        elif kind == "history":
            run["history"].append(_items(record.history.item))
    return run


def _items(items: Any) -> dict[str, Any]:
    return {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in items}

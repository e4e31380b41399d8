"""Zip archives written byte by byte, after PKWARE's APPNOTE: an independent reference."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

UTF8, ENCRYPTED = 0x800, 0x1
STORED, DEFLATED = 0, 8


@dataclass
class File:
    """A file in an archive; what is ``None`` is as it should be."""

    name: bytes
    content: bytes = b""
    flags: int = 0
    method: int = DEFLATED
    crc: int | None = None
    mode: int = 0
    """Of Unix; the upper half of the external attributes."""
    disk: int = 0


def zip_bytes(files: Sequence[File], large: bool = False) -> bytes:
    """Return an archive; ``large`` ones say in 64 bits how much they hold."""
    body, table = bytearray(), bytearray()
    for file in files:
        packed = file.content
        if file.method == DEFLATED:
            packer = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed = packer.compress(packed) + packer.flush()
        crc = zlib.crc32(file.content) if file.crc is None else file.crc
        facts = struct.pack(
            "<HHHHIIIHH", file.flags, file.method, 0, 0x21, crc, len(packed), len(file.content),
            len(file.name), 0,
        )  # fmt: skip
        table += b"PK\1\2" + struct.pack("<HH", 0x314, 20) + facts
        table += struct.pack("<HHHII", 0, file.disk, 0, file.mode << 16, len(body)) + file.name
        body += b"PK\3\4" + struct.pack("<H", 20) + facts + file.name + packed
    if large:
        count = len(files)
        record = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(table), len(body))
        locator = b"PK\6\7" + struct.pack("<IQI", 0, len(body) + len(table), 1)
        end = struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, len(table), len(body), 0)
        return bytes(body + table + b"PK\6\6" + record + locator + b"PK\5\6" + end)
    count = len(files) & 0xFFFF
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(table), len(body), 0)
    return bytes(body + table + b"PK\5\6" + end)


def write_zip(path: Path, files: Mapping[str, bytes], encoding: str = "cp949") -> Path:
    """Write an archive, names in ``encoding`` and without a flag, as Korean programs do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    named = [File(name.encode(encoding), content) for name, content in files.items()]
    path.write_bytes(zip_bytes(named))
    return path


def split(path: Path, cuts: Sequence[int], counted: bool = False) -> list[Path]:
    """Cut a file at some bytes into ``.part`` files, named by offset or counted; remove it."""
    content = path.read_bytes()
    edges = [0, *sorted(cuts), len(content)]
    parts = []
    for number, (start, end) in enumerate(pairwise(edges)):
        part = path.with_name(f"{path.name}.part{number if counted else start}")
        part.write_bytes(content[start:end])
        parts.append(part)
    path.unlink()
    return parts


def tree(root: Path) -> dict[str, bytes]:
    """Return the content of every file that is not hidden, by its path below ``root``."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name[0] != "."]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}

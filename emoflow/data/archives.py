"""Archives as corpora come in them: zip and tar files, whole or split into parts."""

from __future__ import annotations

import errno
import io
import os
import re
import shlex
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from emoflow.data.text_files import walk
from emoflow.errors import CorpusError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Archive", "JoinedFile", "find_archives", "is_archive", "readable", "unpack_first"]

_NAME = re.compile(r"((.+)\.(zip|tar|tar\.gz|tgz))(?:\.(?:part)?(\d+))?", re.IGNORECASE)
_PIECE = re.compile(r"(.+)\.z\d\d", re.IGNORECASE)
_NUMBER = re.compile(r"\d+$")
_KINDS = "no archive (.zip, .zip.part0 …, .tar, .tar.gz)"
_MOST_COUNTED = 1000
"""Larger numbers of parts, and those far apart, are offsets in bytes."""


@dataclass(frozen=True)
class Archive:
    """An archive, whole or in parts."""

    path: str
    """Its file; that of a split archive without the parts' endings."""
    parts: tuple[str, ...]
    """Its files, in the order in which they are joined."""
    numbers: tuple[int, ...]
    """What the names of the parts say, in the same order; nothing for a whole archive."""
    folder: tuple[str, ...]
    """Folders between where was searched and the archive, NFC."""
    name: str
    """NFC, without the parts' endings."""
    stem: str
    """Name without ending."""
    kind: str
    """zip, tar, tar.gz or tgz."""

    @property
    def missing_part(self) -> str | None:
        """The first part that the names of the others call for and that is not there."""
        if not self.numbers:
            return None
        sizes = [os.path.getsize(part) for part in self.parts]
        span = self.numbers[-1] - self.numbers[0]
        counted = self.numbers[-1] < _MOST_COUNTED and span < 2 * len(self.parts) + 10
        wanted = min(self.numbers[0], 1) if counted else 0
        for number, size in zip(self.numbers, sizes, strict=True):
            if number != wanted:
                return _renumbered(self.parts[0], wanted)
            wanted = number + (1 if counted else size)
        return None


class JoinedFile(io.RawIOBase):
    """Files one after another, to be read as one; at most one of them is open at a time."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__()
        self._paths = paths
        self._starts = list(accumulate(map(os.path.getsize, paths), initial=0))
        self._position = 0
        self._part = -1
        self._file: io.FileIO | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a byte, which may lie behind the end, and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._starts[-1]}
        if base[whence] + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = base[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill as much of ``buffer`` as the part at this position has; 0 is the end."""
        if self._position >= self._starts[-1]:
            return 0
        part = bisect_right(self._starts, self._position) - 1
        if part != self._part or self._file is None:
            self._release()
            self._file, self._part = io.FileIO(self._paths[part]), part
        self._file.seek(self._position - self._starts[part])
        space = memoryview(buffer).cast("B")[: self._starts[part + 1] - self._position]
        count = self._file.readinto(space) or 0
        self._position += count
        return count

    def close(self) -> None:
        """Close it."""
        self._release()
        super().close()

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def readable(raw: bytes, *encodings: str) -> str:
    """Return a name by the first encoding that fits, strictly, else as CP437; NFC."""
    for encoding in encodings:
        try:
            return unicodedata.normalize("NFC", raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    return raw.decode("cp437")


def is_archive(name: str) -> bool:
    """Return whether a file is called like an archive, or like a part of one."""
    return _NAME.fullmatch(name) is not None


def unpack_first(root: str | Path, otherwise: str) -> str:
    """Return the way out where ``root`` is not a corpus: unpack the archives that lie there.

    ``otherwise`` is the way out where there are none.
    """
    root = Path(root)
    found = [str(root)] if root.is_file() else (path for path, _ in walk(root))
    packed = next((path for path in found if is_archive(os.path.basename(path))), None)
    if packed is None:
        return otherwise
    command = f"emoflow unpack {shlex.quote(str(root))} FOLDER"
    return f"unpack {packed} first: {command}; then give FOLDER as data.root"


def find_archives(source: Path) -> tuple[list[Archive], list[str]]:
    """Return the archives in a folder, at any depth, and the files that are not read as such.

    ``source`` may be one archive, too, or one of its parts. Where an archive lies beside its
    own parts, it counts and they do not.

    Raises
    ------
    CorpusError
        If there is none, or one in a form that cannot be read (``.z01`` …).
    """
    is_folder = source.is_dir()
    found: dict[tuple[str, str], dict[int, str]] = {}
    others: list[str] = []
    for path, file in walk(source) if is_folder else _beside(source):
        if match := _NAME.fullmatch(file):
            parts = found.setdefault((os.path.dirname(path), match[1]), {})
            number = -1 if match[4] is None else int(match[4])
            if number in parts:
                raise CorpusError(f"{path}: the same as {parts[number]}", "remove one of the two")
            parts[number] = path
        elif _PIECE.fullmatch(file):
            raise CorpusError(
                f"{path}: a piece of an archive in the form .z01, .z02 …, which cannot be read",
                "join the pieces (zip -s 0 ARCHIVE.zip --out WHOLE.zip), put them elsewhere and "
                "run again, or unpack them with 7-Zip",
            )
        else:
            others.append(path)
    if not found:
        what = f"{_KINDS} in it or below it" if is_folder else "no such file"
        raise CorpusError(
            f"{source}: {what}",
            "give the folder that the downloads lie in, or one archive",
        )
    archives = [_archive(parts, source if is_folder else source.parent) for parts in found.values()]
    used = {part for archive in archives for part in archive.parts}
    others += [path for parts in found.values() for path in parts.values() if path not in used]
    return sorted(archives, key=lambda a: (*a.folder, a.stem)), others


def _beside(source: Path) -> Iterator[tuple[str, str]]:
    """Yield (path, name) of the files of one archive, given by its name or that of a part."""
    own = _whole(unicodedata.normalize("NFC", source.name))
    if own is None or not source.parent.is_dir():
        what = _KINDS if source.exists() else "no such file or folder"
        raise CorpusError(f"{source}: {what}", "give a folder with archives, or one archive")
    for name in sorted(os.listdir(source.parent)):
        plain = unicodedata.normalize("NFC", name)
        if _whole(plain) == own and (source.parent / name).is_file():
            yield str(source.parent / name), plain


def _whole(name: str) -> str | None:
    """Return the name of the archive that a file is, or is a part or a piece of."""
    if match := _NAME.fullmatch(name):
        return match[1]
    match = _PIECE.fullmatch(name)
    return None if match is None else f"{match[1]}.zip"


def _archive(parts: Mapping[int, str], base: Path) -> Archive:
    numbers = [-1] if -1 in parts else sorted(parts)
    home, name = os.path.split(parts[numbers[0]])
    plain = [_plain(part) for part in (*Path(home).relative_to(base).parts, name)]
    match, written = _NAME.fullmatch(plain[-1]), _NAME.fullmatch(name)
    assert match is not None
    assert written is not None
    return Archive(
        path=os.path.join(home, written[1]),
        parts=tuple(parts[number] for number in numbers),
        numbers=tuple(number for number in numbers if number >= 0),
        folder=tuple(plain[:-1]),
        name=match[1],
        stem=match[2],
        kind=match[3].casefold(),
    )


def _plain(name: str) -> str:
    return readable(os.fsencode(name), "utf-8", "cp949")


def _renumbered(part: str, number: int) -> str:
    """Return the path of another part; numbers that start with zeros are equally long."""
    found = _NUMBER.search(part)
    assert found is not None
    width = len(found[0]) if found[0].startswith("0") else 0
    return part[: found.start()] + str(number).zfill(width)

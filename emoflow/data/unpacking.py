"""Archives of a corpus unpacked into a folder, whole files only, and never over others."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from emoflow.data.archive_contents import Contents, Member, open_archive
from emoflow.data.archives import Archive, find_archives, is_archive
from emoflow.data.paths import atomic_path, atomic_write, storage_error
from emoflow.data.progress import in_threads, progress
from emoflow.errors import ConfigError, CorpusError, StorageError

__all__ = ["MARKER", "Plan", "Unpacked", "plan_unpacking"]

MARKER = ".emoflow-unpack"
"""A file in every folder that archives are unpacked into: such a folder may be carried on with."""

_LEFTOVER = re.compile(r"\.(.+)\.\d+-[0-9a-f]{8}\.tmp")
_DISK_BLOCK = 4096
_THREADS = 8  # they wait for the disk most of the time
_BLOCK = 1 << 20


class Unpacked(NamedTuple):
    """What has become of one archive."""

    archive: Archive
    written: int
    """Files."""
    kept: int
    """Files that were there already, whole."""
    left_out: int
    """Files below ``__MACOSX``."""
    nested: int
    """Files that are archives, or parts of archives, themselves."""


@dataclass(frozen=True)
class Plan:
    """Archives that can be unpacked into a folder; nothing has been written yet."""

    folder: Path
    archives: tuple[Archive, ...]
    others: tuple[str, ...]
    """Files beside the archives that are none."""
    size: int
    """Bytes that this will take on the disk."""

    def run(self) -> Iterator[Unpacked]:
        """Unpack one archive after another, and say what became of each.

        Raises
        ------
        CorpusError
            If a file is damaged in its archive, or its place is taken by another one.
        StorageError
            If it cannot be written. What was written before stays.
        """
        leftovers = _leftovers(self.folder)
        atomic_write(self.folder / MARKER, "written by emoflow unpack\n")
        for archive in self.archives:
            with open_archive(archive) as contents:
                writer = _Writer(self.folder, contents, leftovers)
                threads = _THREADS if contents.any_order else 1
                results = in_threads(writer, contents.members, threads=threads)
                total = len(contents.members)
                bar = progress(results, f"Unpacking {archive.name}", total=total, unit="file")
                written = sum(new for _, new in bar)
                nested = sum(is_archive(member.place[-1]) for member in contents.members)
                yield Unpacked(archive, written, total - written, contents.left_out, nested)


def plan_unpacking(source: str | Path, folder: str | Path) -> Plan:
    """Look into every archive below ``source``, or into one, and write nothing.

    Parameters
    ----------
    source
        Folder, searched at any depth, or one archive.
    folder
        New, empty, or one that archives were unpacked into before: what is there whole will not
        be unpacked again.

    Raises
    ------
    ConfigError
        If ``folder`` has other files, or one of the two lies in the other.
    CorpusError
        If there is no archive, one is not whole or holds what cannot be unpacked, or two files
        would have one name.
    StorageError
        If the disk is too small.
    """
    source, folder = Path(source).expanduser(), Path(folder).expanduser()
    _check_folder(source, folder)
    archives, others = find_archives(source)
    archives.sort(key=lambda a: [_folded(part) for part in (*a.folder, a.stem)])
    names, size, is_new = _Names(), 0, not folder.is_dir()
    for archive in archives:
        names.enter(archive)
        with open_archive(archive) as contents:
            for member in contents.members:
                names.add(archive, member)
                if is_new or not os.path.exists(os.path.join(folder, *member.place)):
                    size += -(-member.size // _DISK_BLOCK) * _DISK_BLOCK
    _check_space(folder, size)
    return Plan(folder, tuple(archives), tuple(others), size)


class _Names:
    """Names that are taken; a name is the same however its letters are composed, or their case."""

    def __init__(self) -> None:
        self._home = ""
        self._files: dict[str, tuple[Archive, str]] = {}
        self._folders: dict[str, tuple[Archive, str]] = {}

    def enter(self, archive: Archive) -> None:
        """Forget the names of archives that share no folder with this one and those to come."""
        home = _folded("/".join([*archive.folder, archive.stem])) + "/"
        if not self._home or not home.startswith(self._home):
            self._home = home
            self._files.clear()
            self._folders.clear()

    def add(self, archive: Archive, member: Member) -> None:
        """Take the name of a file, and of the folders that it lies in."""
        name = _folded("/".join(member.place))
        own = (archive, member.written)
        self._refuse(self._files.get(name) or self._folders.get(name), own)
        self._files[name] = own
        above = name.rpartition("/")[0]
        while above and above not in self._folders:
            self._refuse(self._files.get(above), own)
            self._folders[above] = own
            above = above.rpartition("/")[0]

    def _refuse(self, other: tuple[Archive, str] | None, own: tuple[Archive, str]) -> None:
        if other is not None:
            (one, first), (two, second) = other, own
            there = "" if one == two else f" of {one.path}"
            raise CorpusError(
                f"{two.path}: {second}: would be called like {first}{there}, or lie in it",
                "unpack one of the two by hand, with another program, into another folder",
            )


class _Writer:
    """Writes the members of an archive, called with one after another, also from threads."""

    def __init__(self, folder: Path, contents: Contents, leftovers: dict[str, list[str]]) -> None:
        self._folder = folder
        self._real = Path(os.path.realpath(folder))
        self._contents = contents
        self._leftovers = leftovers
        self._safe: set[Path] = set()

    def __call__(self, member: Member) -> bool:
        """Return whether the file was written; it is not if it is there."""
        path = self._folder.joinpath(*member.place)
        self._check_inside(path.parent)
        if os.path.lexists(path):
            self._compare(path, member)
            return False
        for leftover in self._leftovers.pop(str(path), ()):
            with suppress(OSError):
                os.unlink(leftover)
        try:
            with atomic_path(path) as temporary, open(temporary, "wb") as file:
                for block in self._contents.blocks(member):
                    file.write(block)
        except OSError as error:
            raise storage_error(path, error) from error
        return True

    def _check_inside(self, parent: Path) -> None:
        if parent in self._safe:
            return
        if Path(os.path.realpath(parent)) != self._real / parent.relative_to(self._folder):
            raise CorpusError(
                f"{parent}: lies behind a link that leads elsewhere", "name a new folder"
            )
        self._safe.add(parent)

    def _compare(self, path: Path, member: Member) -> None:
        try:
            same = path.is_file() and not path.is_symlink() and path.stat().st_size == member.size
            if same and member.crc is not None:
                same = _crc(path) == member.crc
            elif same:
                with open(path, "rb") as file:
                    blocks = self._contents.blocks(member)
                    same = all(file.read(len(block)) == block for block in blocks)
        except OSError as error:
            raise CorpusError(
                f"{path}: cannot be read ({error.strerror})", "make it a file that you may read"
            ) from error
        if not same:
            raise CorpusError(
                f"{path}: is there, and is not what {self._contents.archive.path} has as "
                f"{member.written}",
                "move it away if it is broken or no longer needed, or name a new folder",
            )


def _check_folder(source: Path, folder: Path) -> None:
    real, place = Path(os.path.realpath(source)), Path(os.path.realpath(folder))
    if place.is_relative_to(real):
        raise ConfigError(f"{folder}: lies in {source}", "name a folder outside it")
    if real.is_relative_to(place):
        raise ConfigError(f"{source}: lies in {folder}", "name a new folder elsewhere")
    if not folder.is_dir():
        if folder.exists():
            raise ConfigError(f"{folder}: is a file, not a folder", "name a new folder")
        return
    names = sorted(os.listdir(folder))
    if names and MARKER not in names:
        more = ", …" if len(names) > 3 else ""
        raise ConfigError(
            f"{folder}: holds files that were not unpacked here ({', '.join(names[:3])}{more})",
            "name a new or an empty folder; nothing was changed in this one",
        )


def _check_space(folder: Path, size: int) -> None:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if size > free:
        raise StorageError(
            f"{folder}: {size / 1e9:.3g} GB are to be written, and {free / 1e9:.3g} GB are free",
            f"free some space on the disk of {place}, or name a folder on another disk",
        )


def _leftovers(folder: Path) -> dict[str, list[str]]:
    """Return half-written files of a killed process, per name that they would have got."""
    found: dict[str, list[str]] = defaultdict(list)
    for home, _, files in os.walk(folder):
        for file in files:
            if match := _LEFTOVER.fullmatch(file):
                found[os.path.join(home, match[1])].append(os.path.join(home, file))
    return found


def _crc(path: Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())

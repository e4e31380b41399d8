"""What is in an archive: names put right, everything unsafe refused, content checked."""

from __future__ import annotations

import gzip
import io
import re
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from emoflow.data.archives import Archive, JoinedFile, readable
from emoflow.errors import CorpusError

__all__ = ["Contents", "Member", "open_archive"]

_DRIVE = re.compile(r"[A-Za-z]:")
_LEFT_BY_MACS = "__MACOSX"
_UTF8, _ENCRYPTED = 0x800, 0x41  # flags of a file in a zip archive
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_OTHER_METHODS = {9: "deflate64", 14: "lzma", 93: "zstd", 99: "AES"}
_PLAIN_KINDS = (0, stat.S_IFREG, stat.S_IFDIR)
_END, _END_64 = 22, 56 + 20  # bytes behind a zip's table of contents, in large ones before them
_ZIP_MANY, _ZIP_COMMENT = 0xFFFF, 0xFFFF
_TAR_BLOCK = 512
_BLOCK = 1 << 20
_JOIN = "get its other pieces, join them (zip -s 0 ARCHIVE.zip --out WHOLE.zip), and run again"
_OTHERWISE = "unpack this archive with another program, such as 7-Zip"
_BROKEN = (
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What the standard library raises for archives that are damaged."""


class Member(NamedTuple):
    """A file in an archive."""

    place: tuple[str, ...]
    """Folders and name below the folder that the archives are unpacked into, NFC."""
    size: int
    """Bytes."""
    crc: int | None
    """CRC-32, where the archive says it."""
    written: str
    """Name as it stands in the archive, readable."""
    entry: zipfile.ZipInfo | tarfile.TarInfo


@dataclass(frozen=True)
class Contents:
    """What an open archive holds."""

    archive: Archive
    members: Sequence[Member]
    """Files, in the order in which they lie in it."""
    left_out: int
    """Files below ``__MACOSX``, where Macs note what nobody else needs."""
    any_order: bool
    """Whether several threads may read, each a member of its own."""
    open_entry: Callable[[Any], IO[bytes] | None]

    def blocks(self, member: Member) -> Iterator[bytes]:
        """Yield a file's content, 1 MiB at a time.

        Raises
        ------
        CorpusError
            If it is damaged; the error names archive and file.
        """
        found = 0
        try:
            with self.open_entry(member.entry) or io.BytesIO() as stream:
                while block := stream.read(_BLOCK):
                    found += len(block)
                    yield block
            if found != member.size:
                raise EOFError(f"{found} bytes instead of {member.size}")
        except _BROKEN as error:
            path = self.archive.path
            raise CorpusError(
                f"{path}: {member.written}: is damaged in the archive ({_reason(error)})",
                "download the archive again; what has been unpacked whole will not be again",
            ) from error


@contextmanager
def open_archive(archive: Archive) -> Iterator[Contents]:
    """Give what an archive holds.

    Its files belong into a folder called like it, unless they bring that along, in the folders
    that the archive lies in.

    Raises
    ------
    CorpusError
        If it cannot be read, is cut off or lacks a part; or if a file in it is encrypted, is a
        link, or would lie outside its folder.
    """
    opener: Callable[[Any], IO[bytes] | None]
    with ExitStack() as stack:
        try:
            joined = stack.enter_context(io.BufferedReader(JoinedFile(archive.parts)))
            if archive.kind == "zip":
                book = stack.enter_context(zipfile.ZipFile(joined))
                _check_table(archive, joined, len(book.infolist()))
                named, opener = _zip_members(archive, book), book.open
            else:
                stream: io.BufferedIOBase = joined
                if archive.kind != "tar":
                    stream = stack.enter_context(gzip.GzipFile(fileobj=joined))
                tar = stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))
                named, opener = _tar_members(archive, tar, stream), tar.extractfile
        except _BROKEN as error:
            raise _unreadable(archive, _reason(error)) from error
        kept = [one for one in named if one.place[0] != _LEFT_BY_MACS]
        tops = {one.place[0] if len(one.place) > 1 else None for one in kept}
        home = archive.folder if tops == {archive.stem} else (*archive.folder, archive.stem)
        members = [one._replace(place=(*home, *one.place)) for one in kept]
        yield Contents(archive, members, len(named) - len(kept), archive.kind == "zip", opener)


def _check_table(archive: Archive, joined: io.BufferedIOBase, found: int) -> None:
    """Refuse a zip archive that holds more files than its table of contents gave."""
    size = joined.seek(0, io.SEEK_END)
    start = joined.seek(max(size - _END - _ZIP_COMMENT, 0))
    tail = joined.read()
    end = tail.rfind(b"PK\5\6")
    (count,) = struct.unpack_from("<H", tail, end + 10)
    if count == _ZIP_MANY:
        joined.seek(max(start + end - _END_64, 0))
        record = joined.read(_END_64)
        count = struct.unpack_from("<Q", record, 32)[0] if record[:4] == b"PK\6\6" else found
    elif found > _ZIP_MANY:  # written by a program that does not know of large archives
        count += found - found % (_ZIP_MANY + 1)
    if count != found:
        raise _unreadable(archive, f"{found} files instead of {count} in its table of contents")


def _zip_members(archive: Archive, book: zipfile.ZipFile) -> list[Member]:
    entries = sorted(book.infolist(), key=lambda e: e.header_offset)
    if any(e.volume for e in entries):
        raise _refused(archive, "", "is the last piece of an archive in the form .z01 …", _JOIN)
    if entries and entries[0].header_offset < 0:
        raise _unreadable(archive, f"{-entries[0].header_offset} bytes are missing in it")
    members = []
    for entry in entries:
        name = entry.filename
        if not entry.flag_bits & _UTF8:
            name = _restored(name)
        place = _place(archive, name)
        if entry.flag_bits & _ENCRYPTED:
            raise _refused(archive, name, "is encrypted", "unpack this archive with its password")
        if stat.S_IFMT(entry.external_attr >> 16) not in _PLAIN_KINDS:
            raise _refused(archive, name, "is a link or a device, not a file")
        if entry.compress_type not in _METHODS:
            what = _OTHER_METHODS.get(entry.compress_type, f"number {entry.compress_type}")
            raise _refused(archive, name, f"is compressed by a method that is not read ({what})")
        if place and not _is_folder(name):
            members.append(Member(place, entry.file_size, entry.CRC, name, entry))
    return members


def _tar_members(archive: Archive, tar: tarfile.TarFile, stream: io.BufferedIOBase) -> list[Member]:
    members, end = [], 0
    for entry in tar:
        name = readable(entry.name.encode("utf-8", "surrogateescape"), "utf-8", "cp949")
        place = _place(archive, name)
        if not (entry.isdir() or (entry.isreg() and not entry.issparse())):
            raise _refused(archive, name, "is a link or a device, not a file")
        if place and entry.isreg():
            members.append(Member(place, entry.size, None, name, entry))
        blocks = -(-entry.size // _TAR_BLOCK) if entry.isreg() else 0
        end = entry.offset_data + blocks * _TAR_BLOCK
    stream.seek(end)
    if stream.read(_TAR_BLOCK) != bytes(_TAR_BLOCK):
        raise _unreadable(archive, f"nothing that can be read comes behind byte {end}")
    while stream.read(_BLOCK):  # a checksum, if there is one, stands at the end
        pass
    return members


def _restored(name: str) -> str:
    """Return the name of a file whose bytes were taken for CP437."""
    try:
        return readable(name.encode("cp437"), "cp949", "utf-8")
    except UnicodeEncodeError:  # it came with its name in Unicode, too
        return name


def _place(archive: Archive, name: str) -> tuple[str, ...]:
    """Return folders and name, NFC; nothing for the archive's own top.

    Raises
    ------
    CorpusError
        If that would lie elsewhere than below the archive's folder.
    """
    plain = unicodedata.normalize("NFC", name).replace("\\", "/")
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    if plain.startswith("/") or _DRIVE.match(plain) or ".." in parts:
        raise _refused(archive, name, "would lie outside the folder that it is unpacked into")
    return parts


def _is_folder(name: str) -> bool:
    return name.endswith(("/", "\\"))


def _refused(archive: Archive, name: str, what: str, fix: str = _OTHERWISE) -> CorpusError:
    where = ": ".join(part for part in (archive.path, name) if part)
    return CorpusError(f"{where}: {what}; nothing of this archive was unpacked", fix)


def _unreadable(archive: Archive, reason: str) -> CorpusError:
    """Return the error for an archive that is not whole; a missing part is named."""
    size = sum(Path(part).stat().st_size for part in archive.parts)
    fix = "download it again, and compare its size with what the page says"
    if missing := archive.missing_part:
        return CorpusError(
            f"{missing}: is not there, and without it {archive.path} cannot be read ({reason})",
            "put this part beside the others; download it again if need be",
        )
    if archive.numbers:
        what = f"the last of its {len(archive.parts)} parts is {Path(archive.parts[-1]).name}"
        return CorpusError(
            f"{archive.path}: is cut off, or parts of it are missing ({reason}; {what}; "
            f"{size} bytes in all)",
            fix,
        )
    return CorpusError(
        f"{archive.path}: is cut off, or no {archive.kind} file ({reason}; {size} bytes)", fix
    )


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__

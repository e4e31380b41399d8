from __future__ import annotations

import gzip
import io
import stat
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest

from emoflow.data.archive_contents import open_archive
from emoflow.data.archives import find_archives
from emoflow.errors import CorpusError
from tests.corpora.fuzz import damaged, overwrite
from tests.data.zip_files import ENCRYPTED, STORED, UTF8, File, split, write_zip, zip_bytes

NAME = "전기사고/8.전기사고_1.json"


def read(path: Path) -> dict[str, bytes]:
    """Return the content of every file by its place."""
    (archive,), _ = find_archives(path)
    with open_archive(archive) as contents:
        found = {"/".join(m.place): b"".join(contents.blocks(m)) for m in contents.members}
        assert len(found) == len(contents.members)
        return found


def place(path: Path, *files: File) -> Path:
    path.write_bytes(zip_bytes(files))
    return path


# ---- names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        (NAME.encode("cp949"), 0),
        (NAME.encode(), UTF8),
        (unicodedata.normalize("NFD", NAME).encode(), UTF8),
        (unicodedata.normalize("NFD", NAME).encode(), 0),  # a Mac's own
        (NAME.replace("/", "\\").encode("cp949"), 0),
        (f"./{NAME}".encode("cp949"), 0),
        (f"전기사고//{NAME[5:]}".encode("cp949"), 0),
    ],
)
def test_korean_names(tmp_path: Path, name: bytes, flags: int) -> None:
    path = place(tmp_path / "x.zip", File(name, b"content", flags))
    assert read(path) == {f"x/{NAME}": b"content"}


def test_names_in_no_korean_encoding_stay_as_they_are(tmp_path: Path) -> None:
    path = place(tmp_path / "x.zip", File("café.txt".encode("cp437"), b"1"))
    assert read(path) == {"x/café.txt": b"1"}
    with zipfile.ZipFile(path) as reference:
        assert reference.namelist() == ["café.txt"]


def test_an_archive_brings_its_folder_or_gets_one(tmp_path: Path) -> None:
    own = unicodedata.normalize("NFD", "[라벨]8.전기사고")
    folder = File(f"{own}/".encode(), b"", UTF8, STORED)
    one, two = (File(f"{own}/{n}.json".encode(), b"1", UTF8) for n in "12")
    beside = File(b"readme.txt", b"2")
    named = "[라벨]8.전기사고"
    path = place(tmp_path / f"{named}.zip", folder, one, two)
    assert set(read(path)) == {f"{named}/1.json", f"{named}/2.json"}
    place(path, one, beside)
    assert set(read(path)) == {f"{named}/{named}/1.json", f"{named}/readme.txt"}
    place(path, File(own.encode(), b"3", UTF8))  # a file, not a folder
    assert set(read(path)) == {f"{named}/{named}"}
    other = write_zip(tmp_path / "sub" / "other.zip", {f"{named}/1.json": b"1"})
    assert set(read(other)) == {f"other/{named}/1.json"}
    assert set(read(tmp_path / "sub")) == {f"other/{named}/1.json"}


def test_what_macs_add_is_left_out(tmp_path: Path) -> None:
    path = place(tmp_path / "x.zip", File(b"x/a.txt", b"1"), File(b"__MACOSX/x/._a.txt", b"2"))
    assert read(path) == {"x/a.txt": b"1"}
    (archive,), _ = find_archives(path)
    with open_archive(archive) as contents:
        assert contents.left_out == 1


# ---- what is refused before anything is written ---------------------------------------


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (File(b"/etc/x"), "would lie outside"),
        (File(b"\\\\server\\x"), "would lie outside"),
        (File(b"C:\\x"), "would lie outside"),
        (File(b"a/../../x"), "would lie outside"),
        (File(b"a\\..\\..\\x"), "would lie outside"),
        (File(b"../"), "would lie outside"),
        (File("라벨.json".encode("cp949"), flags=ENCRYPTED), "is encrypted(.|\n)*its password"),
        (File(b"x", b"/etc", mode=stat.S_IFLNK | 0o777), "is a link"),
        (File(b"x", mode=stat.S_IFIFO), "is a link or a device"),
        (File(b"x", method=9), r"a method that is not read \(deflate64\)(.|\n)*7-Zip"),
        (File(b"x", method=77), r"a method that is not read \(number 77\)"),
        (File(b"x", disk=1), r"last piece of an archive(.|\n)*zip -s 0"),
    ],
)
def test_refused(tmp_path: Path, file: File, message: str) -> None:
    path = place(tmp_path / "x.zip", File(b"good.txt", b"1"), file)
    with pytest.raises(CorpusError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    name = file.name.decode("cp949")
    assert name in str(caught.value) or file.disk


# ---- what is not whole ----------------------------------------------------------------


FILES = {f"폴더/{n}.json": bytes(np.random.default_rng(n).bytes(40)) for n in range(8)}


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    for gone in range(4):
        folder = tmp_path / str(gone)
        parts = split(write_zip(folder / "x.zip", FILES), [200, 431, 700])
        parts[gone].unlink()
        with pytest.raises(CorpusError) as caught:
            read(folder)
        text = str(caught.value)
        assert str(folder / "x.zip") in text
        if gone < 3:
            assert f"{parts[gone]}: is not there" in text
        else:  # its name is not known
            assert "parts of it are missing" in text
            assert f"the last of its 3 parts is {parts[2].name}" in text
            assert "download it again" in text


def test_missing_bytes_are_counted(tmp_path: Path) -> None:
    first, second = split(write_zip(tmp_path / "x.zip", FILES), [400], counted=True)
    first.write_bytes(first.read_bytes()[:-57])
    with pytest.raises(CorpusError, match=r"x\.zip: is cut off, .*57 bytes are missing in it"):
        read(tmp_path)
    second.unlink()
    with pytest.raises(CorpusError, match=r"not a zip file.*the last of its 1 parts is x\.zip\.pa"):
        read(tmp_path)


def test_an_archive_that_is_cut_off(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", FILES)
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(CorpusError, match=rf"x\.zip: is cut off, or no zip file.*{size} bytes"):
            read(path)


def test_more_files_than_sixteen_bits_count(tmp_path: Path) -> None:
    count = 65_540
    path = place(tmp_path / "x.zip", *(File(b"x/%d" % n, method=STORED) for n in range(count)))
    (archive,), _ = find_archives(path)
    with open_archive(archive) as contents:
        assert len(contents.members) == count


@pytest.mark.parametrize("large", [False, True])
def test_files_that_the_table_of_contents_lost(tmp_path: Path, large: bool) -> None:
    """The standard library takes a file's comment to be as long as it says."""
    files = [File(name.encode("cp949"), content) for name, content in FILES.items()]
    path = tmp_path / "x.zip"
    path.write_bytes(zip_bytes(files, large))
    assert read(path) == {f"x/{name}": content for name, content in FILES.items()}
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\1\2") + 33] = 0xFF
    path.write_bytes(content)
    with zipfile.ZipFile(path) as reference:
        assert len(reference.namelist()) == 1
    with pytest.raises(CorpusError, match=r"1 files instead of 8 in its table of contents"):
        read(path)


def test_damaged_content_names_archive_and_file(tmp_path: Path) -> None:
    bad = File("라벨.json".encode("cp949"), b"content", crc=1)
    path = place(tmp_path / "x.zip", File(b"good.txt", b"1"), bad)
    with pytest.raises(CorpusError, match=r"x\.zip: 라벨\.json: is damaged .*CRC-32(.|\n)*again"):
        read(path)


@pytest.mark.parametrize(("kind", "count"), [("zip", 1000), ("tar", 300), ("tar.gz", 300)])
def test_damage_is_an_error_or_changes_nothing(tmp_path: Path, kind: str, count: int) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        write_zip(path, FILES)
    else:
        write_tar(path, FILES)
    whole, content, rng = read(path), path.read_bytes(), np.random.default_rng(0)
    expected = {f"x/{name}": value for name, value in FILES.items()}
    assert whole == expected
    refusals = []
    for number in range(count):
        overwrite(path, damaged(content, rng))
        try:
            found = read(path)
        except CorpusError as error:
            refusals.append(str(error))
            continue
        if kind == "tar":  # it has no checksums of content
            assert found.keys() == expected.keys(), number
        else:
            assert found == expected, number
    assert all(str(path) in text for text in refusals)
    assert len(refusals) > count * (0.4 if kind == "tar" else 0.8)


# ---- tar ------------------------------------------------------------------------------


def write_tar(path: Path, files: dict[str, bytes], encoding: str = "utf-8") -> Path:
    mode = "w:gz" if path.name.endswith("gz") else "w"
    with tarfile.open(path, mode, encoding=encoding, format=tarfile.GNU_FORMAT) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tgz"])
def test_tar(tmp_path: Path, kind: str, encoding: str) -> None:
    path = write_tar(tmp_path / f"x.{kind}", FILES, encoding)
    assert read(path) == {f"x/{name}": content for name, content in FILES.items()}
    split(path, [600, 1000], counted=True)
    assert read(tmp_path) == {f"x/{name}": content for name, content in FILES.items()}


def test_a_tar_that_is_cut_off_at_a_file(tmp_path: Path) -> None:
    """The standard library takes this for its end."""
    path = write_tar(tmp_path / "x.tar", FILES)
    path.write_bytes(path.read_bytes()[: 3 * 1024])
    with tarfile.open(path) as reference:
        assert len(reference.getmembers()) == 3
    with pytest.raises(CorpusError, match=r"x\.tar: is cut off.*behind byte 3072"):
        read(path)
    path = tmp_path / "y.tar.gz"
    path.write_bytes(gzip.compress((tmp_path / "x.tar").read_bytes()))
    with pytest.raises(CorpusError, match=r"y\.tar\.gz: is cut off"):
        read(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(CorpusError, match=r"x\.tar: link: is a link"):
        read(path)


def test_unsafe_names_in_a_tar(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"../x": b"1"})
    with pytest.raises(CorpusError, match=r"x\.tar: \.\./x: would lie outside"):
        read(path)

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import unicodedata
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.data.unpacking import MARKER, Unpacked, plan_unpacking
from emoflow.errors import ConfigError, CorpusError, StorageError
from tests.data.zip_files import File, split, tree, write_zip, zip_bytes

FILES = {f"폴더/{n}.json": f"내용 {n}".encode() * n for n in range(20)}


def unpack(source: Path, folder: Path) -> list[Unpacked]:
    return list(plan_unpacking(source, folder).run())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """One archive, x.zip, in a folder."""
    write_zip(tmp_path / "from" / "sub" / "x.zip", FILES)
    return tmp_path / "from"


IN_X = {f"sub/x/{name}": content for name, content in FILES.items()}


# ---- what comes out -------------------------------------------------------------------


WORDS = st.text("가나다힣ab1 ._[](),", min_size=1, max_size=8).filter(lambda w: w.strip(". "))
NAMES = st.lists(WORDS, min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(NAMES, st.binary(max_size=300), max_size=8)


@given(TREES, st.lists(st.integers(1, 2000), max_size=4), st.booleans(), st.sampled_from("zk"))
@settings(max_examples=100, deadline=None)
def test_any_tree_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, bytes],
    cuts: list[int],
    counted: bool,
    writer: str,
) -> None:
    """Written by zipfile or as Korean programs do, cut anywhere, whole or in parts."""
    names = {name.casefold() for name in files}
    files = {n: c for n, c in files.items() if not any(o.startswith(f"{n}/") for o in files)}
    if len(names) < len(files) or any(part in (".", "..") for n in files for part in n.split("/")):
        return
    root = tmp_path_factory.mktemp("tree")
    path = root / "from" / "a" / "x y.zip"
    if writer == "k":
        write_zip(path, files)
    else:
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    size = path.stat().st_size
    parts = split(path, sorted({cut for cut in cuts if cut < size}), counted)
    before = {part: part.read_bytes() for part in parts}
    (done,) = unpack(root / "from", root / "to")
    found = {p.relative_to(root / "to" / "a").as_posix(): p for p in (root / "to" / "a").rglob("*")}
    found = {name: p for name, p in found.items() if p.is_file()}
    own = bool(files) and all(name.startswith("x y/") for name in files)
    expected = {name if own else f"x y/{name}": content for name, content in files.items()}
    assert {name: p.read_bytes() for name, p in found.items()} == expected
    assert (done.written, done.kept) == (len(files), 0)
    assert {part: part.read_bytes() for part in (root / "from").rglob("*.part*")} == before


def test_several_archives_each_into_its_own_folder(tmp_path: Path) -> None:
    home = tmp_path / "from" / unicodedata.normalize("NFD", "학습")
    write_zip(home / "[라벨]1.zip", {"[라벨]1/a.json": b"1"})
    write_zip(home / "[원천]1.zip", {"a.wav": b"2"})
    write_zip(tmp_path / "from" / "다.zip", {"a.wav": b"3"})
    (tmp_path / "from" / "표.csv").write_bytes(b"4")
    plan = plan_unpacking(tmp_path / "from", tmp_path / "to")
    assert not (tmp_path / "to").exists()
    assert [os.path.basename(path) for path in plan.others] == ["표.csv"]
    assert [done.written for done in plan.run()] == [1, 1, 1]
    expected = {"학습/[라벨]1/a.json": b"1", "학습/[원천]1/a.wav": b"2", "다/a.wav": b"3"}
    assert tree(tmp_path / "to") == expected
    (done,) = unpack(home / "[원천]1.zip", tmp_path / "one")
    assert (tree(tmp_path / "one"), done.nested) == ({"[원천]1/a.wav": b"2"}, 0)


def test_archives_in_an_archive_are_counted(tmp_path: Path) -> None:
    write_zip(tmp_path / "download.zip", {"a.zip.part0": b"1", "a.zip.part1": b"2", "b.txt": b""})
    (done,) = unpack(tmp_path / "download.zip", tmp_path / "to")
    assert (done.written, done.nested) == (3, 2)


# ---- again, after an interruption -----------------------------------------------------


def test_only_what_is_not_there_is_unpacked(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "to"
    assert unpack(source, folder)[0].written == len(FILES)
    home = folder / "sub" / "x" / "폴더"
    gone = {home / f"{n}.json" for n in (3, 4, 5)}
    for path in gone:
        path.unlink()
    killed = home / ".4.json.99999-0123abcd.tmp"
    killed.write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    (done,) = unpack(source, folder)
    assert (done.written, done.kept) == (3, len(FILES) - 3)
    assert tree(folder) == IN_X
    after = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    assert {path: after[path] for path in after.keys() - gone} == {
        path: time for path, time in before.items() if path != killed
    }


def test_a_killed_process_leaves_whole_files_only(tmp_path: Path) -> None:
    files = {f"{n:04}.json": f"내용 {n}".encode() * 50 for n in range(1500)}
    path, folder = write_zip(tmp_path / "x.zip", files), tmp_path / "to"
    command = f"from emoflow.cli import main; main(['unpack', {str(path)!r}, {str(folder)!r}])"
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 20
        while time.monotonic() < end and not (folder / "x" / "0030.json").exists():
            time.sleep(0.001)
        process.kill()
    expected = {f"x/{name}": content for name, content in files.items()}
    before = tree(folder)
    assert before.items() <= expected.items()
    (done,) = unpack(path, folder)
    assert (done.kept, done.written) == (len(before), len(files) - len(before))
    assert tree(folder) == expected
    assert [p.name for p in folder.rglob(".*")] == [MARKER]


def test_a_file_that_differs_is_not_written_over(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "to"
    unpack(source, folder)
    for content in (b"repaired by hand", FILES["폴더/7.json"][::-1]):
        path = folder / "sub" / "x" / "폴더" / "7.json"
        path.write_bytes(content)
        with pytest.raises(CorpusError, match=r"7\.json: is there, and is not what .*x\.zip has"):
            unpack(source, folder)
        assert path.read_bytes() == content


def test_a_damaged_file_does_not_get_its_name(source: Path, tmp_path: Path) -> None:
    files = [File(name.encode("cp949"), content) for name, content in FILES.items()]
    files[9].crc = 1
    (source / "sub" / "x.zip").write_bytes(zip_bytes(files))
    with pytest.raises(CorpusError, match=r"x\.zip: 폴더/9\.json: is damaged"):
        unpack(source, tmp_path / "to")
    found = tree(tmp_path / "to")
    assert found.items() <= IN_X.items()
    assert "sub/x/폴더/9.json" not in found
    assert not [path for path in (tmp_path / "to").rglob(".*") if path.name != MARKER]
    write_zip(source / "sub" / "x.zip", FILES)
    (done,) = unpack(source, tmp_path / "to")
    assert done.kept == len(found)
    assert tree(tmp_path / "to") == IN_X


# ---- what is refused before anything is written ---------------------------------------


def is_refused(source: Path, folder: Path, kind: type[Exception], message: str) -> None:
    before = tree(folder.parent)
    with pytest.raises(kind, match=message):
        plan_unpacking(source, folder)
    assert tree(folder.parent) == before


@pytest.mark.parametrize(
    "names",
    [
        ("a/B.wav", "a/b.wav"),
        ("라.wav", unicodedata.normalize("NFD", "라.wav")),
        ("a.wav", "./a.wav"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("a/b/c", "A"),
        ("Straße", "STRASSE"),
    ],
)
def test_two_files_of_one_name(tmp_path: Path, names: tuple[str, str]) -> None:
    files = [File(name.encode(), b"1", 0x800) for name in names]
    path = tmp_path / "x.zip"
    path.write_bytes(zip_bytes(files))
    text = rf"x\.zip: {re.escape(names[1])}: would be called like {re.escape(names[0])}, or lie"
    is_refused(path, tmp_path / "to", CorpusError, text)


def test_one_name_in_two_archives(tmp_path: Path) -> None:
    source = tmp_path / "from"
    write_zip(source / "a.zip", {"b/c.wav": b"1", "d.wav": b"2"})
    write_zip(source / "a" / "b.zip", {"d.wav": b"3"})
    write_zip(source / "a0.zip", {"d.wav": b"4"})
    assert len(unpack(source, tmp_path / "to")) == 3
    write_zip(source / "a" / "b.zip", {"C.wav": b"3"})
    is_refused(
        source, tmp_path / "to2", CorpusError, r"b\.zip: C\.wav: .* like b/c\.wav of .*a\.zi"
    )


def test_folders_that_are_not_written_to(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "corpus"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    is_refused(source, mine, ConfigError, r"holds files that were not unpacked here \(thesis")
    is_refused(source, mine / "thesis.txt", ConfigError, "is a file, not a folder")
    is_refused(source, source / "new", ConfigError, "lies in .*from\n.*outside it")
    is_refused(source, source, ConfigError, "lies in")
    is_refused(source, tmp_path, ConfigError, "from: lies in")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert unpack(source, empty)[0].written == len(FILES)


def test_a_disk_that_is_too_small(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(count: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=count))

    needed = 4096 * sum(bool(content) for content in FILES.values())
    free(needed - 1)
    is_refused(source, tmp_path / "to", StorageError, r"GB are to be written, and .* GB are free")
    free(needed)
    unpack(source, tmp_path / "to")
    free(0)
    assert unpack(source, tmp_path / "to")[0].kept == len(FILES)


def test_links_in_the_folder_lead_nowhere(source: Path, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "to", tmp_path / "elsewhere"
    elsewhere.mkdir()
    unpack(source, folder)
    home = folder / "sub" / "x" / "폴더"
    shutil.rmtree(home)
    home.symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(CorpusError, match="lies behind a link that leads elsewhere"):
        unpack(source, folder)
    assert list(elsewhere.iterdir()) == []
    home.unlink()
    home.mkdir()
    (home / "3.json").symlink_to(tmp_path / "other")
    with pytest.raises(CorpusError, match=r"3\.json: is there, and is not"):
        unpack(source, folder)
    assert not (tmp_path / "other").exists()


def test_no_archive_is_half_planned(source: Path, tmp_path: Path) -> None:
    """One that is broken stops all, before anything is written."""
    path = write_zip(source / "z.zip", FILES)
    path.write_bytes(path.read_bytes()[:-9])
    is_refused(source, tmp_path / "to", CorpusError, r"z\.zip: is cut off")

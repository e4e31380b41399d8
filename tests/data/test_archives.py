from __future__ import annotations

import io
import os
import shlex
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.data.archives import JoinedFile, find_archives, is_archive, unpack_first
from emoflow.errors import CorpusError


def touch(folder: Path, *names: str, size: int = 1) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * size)
    return folder


# ---- several files read as one --------------------------------------------------------


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 70)),
        st.tuples(st.sampled_from(["start", "here", "end"]), st.integers(-60, 90)),
    ),
    max_size=12,
)


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5), STEPS)
@settings(max_examples=200, deadline=None)
def test_joined_files_are_read_like_one(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    cuts: list[int],
    steps: list[tuple[str, int]],
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    paths = []
    for number, (start, end) in enumerate(pairwise(edges)):
        paths.append(folder / str(number))
        paths[-1].write_bytes(content[start:end])
    whole = io.BytesIO(content)
    with io.BufferedReader(JoinedFile([str(path) for path in paths]), 8) as joined:
        for what, value in steps:
            if what == "read":
                assert joined.read(value) == whole.read(value)
                continue
            base = {"start": 0, "here": whole.tell(), "end": len(content)}[what]
            if base + value < 0:
                with pytest.raises(OSError, match="Invalid argument"):
                    joined.seek(base + value)
                continue
            whence = {"start": os.SEEK_SET, "here": os.SEEK_CUR, "end": os.SEEK_END}[what]
            assert joined.seek(value, whence) == base + value
            whole.seek(base + value)
        assert joined.tell() == whole.tell()
        joined.seek(0)
        assert joined.read() == content


# ---- which files are archives ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.zip", True),
        ("A.ZIP", True),
        ("a.zip.part0", True),
        ("a.zip.part1073741824", True),
        ("a.zip.001", True),
        ("a.tar", True),
        ("a.tar.gz", True),
        ("a.tgz", True),
        ("a.gz", False),
        ("a.xlsx", False),
        ("a.zip.txt", False),
        (".zip", False),
    ],
)
def test_names_of_archives(name: str, expected: bool) -> None:
    assert is_archive(name) is expected


def test_archives_at_any_depth_with_their_parts_in_order(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "라벨")
    touch(tmp_path, "b.zip.part10", "b.zip.part9", "b.zip.part100", "표.csv", "deep/er/a.tar.gz")
    touch(tmp_path, f"{decomposed}/[{decomposed}]8.전기.zip", "c.zip", "c.zip.part0", "._c.zip")
    archives, others = find_archives(tmp_path)
    found = {("/".join(a.folder), a.stem): [os.path.basename(p) for p in a.parts] for a in archives}
    assert found == {
        ("", "b"): ["b.zip.part9", "b.zip.part10", "b.zip.part100"],
        ("", "c"): ["c.zip"],
        ("deep/er", "a"): ["a.tar.gz"],
        ("라벨", "[라벨]8.전기"): [f"[{decomposed}]8.전기.zip"],
    }
    assert sorted(os.path.basename(path) for path in others) == ["c.zip.part0", "표.csv"]
    assert [a.kind for a in archives if a.stem == "a"] == ["tar.gz"]


@pytest.mark.parametrize("given_name", ["a.zip", "a.zip.part0", "a.zip.part7"])
def test_one_archive_by_its_name_or_a_part(tmp_path: Path, given_name: str) -> None:
    touch(tmp_path, "a.zip.part0", "a.zip.part7", "b.zip", "ba.zip", "sub/a.zip", "notes.txt")
    (archive,), others = find_archives(tmp_path / given_name)
    assert [os.path.basename(part) for part in archive.parts] == ["a.zip.part0", "a.zip.part7"]
    assert (archive.path, archive.folder, others) == (str(tmp_path / "a.zip"), (), [])


def test_what_holds_no_archive(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.wav")
    with pytest.raises(CorpusError, match=r"in: no archive \(\.zip, (.|\n)*folder that the down"):
        find_archives(tmp_path / "in")
    with pytest.raises(CorpusError, match=r"a\.wav: no archive"):
        find_archives(tmp_path / "in" / "a.wav")
    for name in ("b.zip", "b", "none/b.zip"):
        with pytest.raises(CorpusError, match="no such file"):
            find_archives(tmp_path / "in" / name)


@pytest.mark.parametrize("whole", ["", "a.zip"])
def test_pieces_that_cannot_be_read(tmp_path: Path, whole: str) -> None:
    touch(tmp_path, "a.zip", "a.z01", "a.z02")
    with pytest.raises(CorpusError, match=r"a\.z01: a piece of an archive(.|\n)*zip -s 0"):
        find_archives(tmp_path / whole)


def test_a_part_that_is_there_twice(tmp_path: Path) -> None:
    touch(tmp_path, "a.zip.part0", "a.zip.part00")
    with pytest.raises(CorpusError, match=r"part00: the same as .*part0\n.*remove one"):
        find_archives(tmp_path)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["part0", "part1000000", "part2000000"], None),
        (["part0", "part2000000"], "part1000000"),
        (["part1000000", "part2000000"], "part0"),
        (["part2000000"], "part0"),
        (["part0", "part1", "part3"], "part2"),
        (["part1", "part2", "part4"], "part3"),
        (["part2", "part3"], "part1"),
        (["part0", "part1", "part2"], None),
        (["001", "003"], "002"),
        (["002", "003"], "001"),
    ],
)
def test_the_missing_part_is_known_from_the_others(
    tmp_path: Path, names: list[str], missing: str | None
) -> None:
    touch(tmp_path, *(f"x.zip.{name}" for name in names), size=1_000_000)
    (archive,), _ = find_archives(tmp_path)
    expected = None if missing is None else str(tmp_path / f"x.zip.{missing}")
    assert archive.missing_part == expected


def test_a_root_with_archives_only_leads_to_unpack(tmp_path: Path) -> None:
    root = touch(tmp_path / "my files", "Training/[라벨]8.전기사고.zip.part0", "readme.txt")
    text = unpack_first(root, "do something else")
    assert "Training/[라벨]8.전기사고.zip.part0 first: " in text
    words = shlex.split(text.partition("first: ")[2].partition(";")[0])
    assert words == ["emoflow", "unpack", str(root), "FOLDER"]
    assert unpack_first(touch(tmp_path / "other", "a.csv"), "do this") == "do this"
    assert unpack_first(tmp_path / "nowhere", "do this") == "do this"
    assert "emoflow unpack" in unpack_first(touch(tmp_path, "b.zip") / "b.zip", "do this")

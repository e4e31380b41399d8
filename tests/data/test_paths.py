from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from emoflow.data.paths import atomic_path, atomic_write, cache_folder, storage_error
from emoflow.errors import StorageError


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOFLOW_CACHE", "/a/cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder() == Path("/a/cache")
    monkeypatch.delenv("EMOFLOW_CACHE")
    assert cache_folder() == Path("/b/emoflow")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "emoflow"


def test_write_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    atomic_write(path, "하나")
    atomic_write(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["b.txt"]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    atomic_write(path, "old")
    with pytest.raises(RuntimeError, match="half"), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("new")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_full_disk_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    with pytest.raises(StorageError) as caught, atomic_path(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(path) in caught.value.what
    assert "disk is full" in caught.value.what
    assert "Free some space" in caught.value.fix


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_really_full_device(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="disk is full"),
        atomic_path(tmp_path / "x") as temporary,
    ):
        Path("/dev/full").write_bytes(b"content of " + str(temporary).encode())


def test_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        atomic_write(tmp_path / "file" / "b.txt", "x")


def test_no_permission_names_the_folder_and_the_cache_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path))
    error = storage_error(tmp_path / "index" / "x", OSError(errno.EACCES, "Permission denied"))
    assert "no permission" in error.what
    assert "EMOFLOW_CACHE" in error.fix
    assert str(tmp_path / "index") in error.fix


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "never written"):
        pass

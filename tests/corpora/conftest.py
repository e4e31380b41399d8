from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora.toy import rows, write


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy corpus; nobody changes it."""
    return write(tmp_path_factory.mktemp("corpus") / "toy", rows())


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that no other test has written to."""
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path / "cache"))

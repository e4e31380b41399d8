from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora.toy import rows, write


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy corpus; nobody changes it."""
    return write(tmp_path_factory.mktemp("corpus") / "toy", rows())

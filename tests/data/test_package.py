from __future__ import annotations

import subprocess
import sys

import pytest

import emoflow.data


@pytest.mark.parametrize("name", emoflow.data.__all__)
def test_every_public_name_is_found(name):
    found = getattr(emoflow.data, name)
    assert found.__module__.startswith("emoflow.data.")
    assert getattr(emoflow.data, name) is found


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        emoflow.data.nothing  # noqa: B018


def test_splits_and_audit_load_no_torch():
    code = "import sys, emoflow.data, emoflow.data.audit; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

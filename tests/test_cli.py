import resource
import subprocess
import sys
from pathlib import Path

import pytest

from emoflow.cli import COMMANDS, main


def test_help_lists_every_command(capsys) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


def test_an_unknown_command_is_named(capsys) -> None:
    assert main(["tune"]) == 2
    assert "no command 'tune'" in capsys.readouterr().err


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip()


def test_help_is_quick_and_loads_no_torch() -> None:
    code = "import sys; from emoflow.cli import main; main(['--help']); "
    code += "assert not {'torch', 'lightning', 'numpy', 'pandas'} & set(sys.modules)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert cpu < 0.5


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str, capsys) -> None:
    assert main([name, "--help"]) == 0
    assert f"emoflow {name}" in capsys.readouterr().out


def test_a_demo_corpus_is_written_and_never_over_other_files(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "demo"
    assert main(["demo-corpus", str(folder), "--sessions", "1", "--seed", "3"]) == 0
    assert (folder / "annotation").is_dir()
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("mine", encoding="utf-8")
    assert main(["demo-corpus", str(other)]) == 1
    assert "thesis.txt" in capsys.readouterr().err or (other / "thesis.txt").exists()
    assert (other / "thesis.txt").read_text(encoding="utf-8") == "mine"

"""``emoflow unpack``: downloaded archives become the folder that a corpus is read from."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence

from emoflow.data.unpacking import Plan, plan_unpacking

_SHOWN = 3


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = ArgumentParser(
        prog="emoflow unpack",
        description="Unpack the archives of a corpus, as AI-Hub gives them out: zip and tar, "
        "split into .part0 … or whole, with Korean names. Each becomes a folder called like it. "
        "Parts are joined while they are read, every file is checked, what is there already is "
        "not unpacked again, and the archives stay as they are.",
    )
    parser.add_argument("source", metavar="FROM", help="folder (at any depth), or one archive")
    parser.add_argument("folder", metavar="TO", help="a new folder, or one to carry on with")
    try:
        options = parser.parse_args(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    for line in _lines(plan_unpacking(options.source, options.folder)):
        print(line, flush=True)
    return 0


def _lines(plan: Plan) -> Iterator[str]:
    """Unpack, and say what became of each archive and what comes next."""
    written = kept = nested = 0
    for done in plan.run():
        written, kept, nested = written + done.written, kept + done.kept, nested + done.nested
        name = "/".join([*done.archive.folder, done.archive.name])
        there = f", {done.kept} of them there already" if done.kept else ""
        odd = f"; {done.left_out} more in __MACOSX left out" if done.left_out else ""
        yield f"{name}: {_files(done.written + done.kept)}{there}{odd}"
    count = "1 archive is" if len(plan.archives) == 1 else f"{len(plan.archives)} archives are"
    yield f"{count} unpacked into {plan.folder}: {_files(written + kept)}"
    if nested:
        yield f"archives that were in them: {_files(nested)}; emoflow unpack {plan.folder} FOLDER"
    if plan.others:
        names = ", ".join(plan.others[:_SHOWN]) + (", …" if len(plan.others) > _SHOWN else "")
        yield f"not unpacked, and left where they are: {_files(len(plan.others))}, {names}"
    yield f"see what they hold: emoflow corpora --check NAME {plan.folder}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"

"""What a run was made on, and what that machine is slow at."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from emoflow import __version__
from emoflow.data.paths import atomic_write

__all__ = ["fast_precision", "write_environment"]

_PACKAGES = ("torch", "torchaudio", "lightning", "transformers", "torchmetrics", "numpy", "wandb")
_BF16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


def write_environment(path: Path) -> None:
    """Write when, how and on what a run was started."""
    content = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()}",
        "gpu": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "packages": {"emoflow": __version__} | {name: version(name) for name in _PACKAGES},
    }
    atomic_write(path, json.dumps(content, ensure_ascii=False, indent=1))


def fast_precision(options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the precision to run in, and a line that says why it is not the one asked for.

    A CPU without bf16 instructions emulates them, several times slower than it computes in
    32 bits: there bf16-mixed, whose weights have 32 bits anyway, becomes 32-true.

    Parameters
    ----------
    options
        Options of a Trainer: ``precision`` and ``accelerator``.
    """
    asked = options.get("precision")
    on_cpu = options.get("accelerator") == "cpu" or not torch.accelerator.is_available()
    if asked not in ("bf16-mixed", "bf16") or not on_cpu:
        return asked, ""
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if not able or any(able.get(name) for name in _BF16):
        return asked, ""
    return (
        "32-true",
        f"this CPU has no bf16 instructions and would emulate trainer.precision {asked}, which is "
        "several times slower: computing in 32-true",
    )

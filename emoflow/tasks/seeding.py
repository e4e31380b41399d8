"""Seeding torch, often."""

from __future__ import annotations

import torch

__all__ = ["seed_torch"]


def seed_torch(number: int, device: torch.device) -> None:
    """Seed what is drawn on ``device``, as ``torch.manual_seed`` does.

    On the CPU only its own generator is seeded. For accelerators that have not been used yet,
    ``torch.manual_seed`` writes down the call stack to seed them later: it takes a hundred times
    as long, most of a millisecond.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(number)
    else:
        torch.manual_seed(number)

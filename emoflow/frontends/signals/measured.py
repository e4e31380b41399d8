"""What the parts of the front end hand to its entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from emoflow.frontends.signals.cleaning import GOOD

__all__ = ["Measured", "shortened"]


class Measured(NamedTuple):
    """Features of one group, before anyone asked whether they can be."""

    values: Mapping[str, float]
    """Name to value; what could not be measured is left out."""
    seconds: Mapping[str, float]
    """Group to seconds of usable signal."""
    quality: Mapping[str, str]
    """Signal to short words."""


def shortened(quality: str, seconds: float) -> str:
    """Return the words for a good signal that is too short; what it counted stays."""
    counted = quality.removeprefix(GOOD).removeprefix(": ")
    return f"short: {seconds:.0f} s" + (f", {counted}" if counted else "")

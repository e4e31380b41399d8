"""Which stretch of signal an utterance's features are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from emoflow.errors import ConfigError

__all__ = ["SignalOptions", "Window"]


class Window(NamedTuple):
    """A stretch of time around an utterance, in seconds on the recording's clock."""

    start: float
    end: float
    utterance_start: float
    utterance_end: float

    def earlier(self, windows: int) -> Window:
        """Return the window, and the utterance in it, so many of its own lengths before."""
        shift = windows * (self.end - self.start)
        return Window(*(time - shift for time in self))


@dataclass(frozen=True)
class SignalOptions:
    """How biosignals become an utterance's features."""

    seconds: float = 60.0
    """Length of the window around the utterance; a longer utterance is taken as a whole."""
    past_only: bool = True
    """Whether the window ends with the utterance; else its middle is the utterance's."""
    baseline: Literal["none", "past"] = "none"
    """``past``: every feature is the difference from its own mean over the windows before."""
    baseline_seconds: float = 300.0
    """How far back the baseline reaches; it is made of whole windows, of at least one."""
    least_scr: float = 0.02
    """Least height of a skin conductance response, in µS; from 0.01 to 0.05 is usual."""

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= 3600:
            raise ConfigError(
                f"signals: a window of {self.seconds:g} seconds is not usable",
                "set seconds between 1 and 3600; 60 is usual",
            )
        if self.baseline not in ("none", "past"):
            raise ConfigError(
                f"signals: there is no baseline {self.baseline!r}", "set baseline to none or past"
            )
        if not 1 <= self.baseline_seconds <= 36_000:
            raise ConfigError(
                f"signals: a baseline of {self.baseline_seconds:g} seconds is not usable",
                "set baseline_seconds between 1 and 36000; 300 is usual",
            )
        if not 0.001 <= self.least_scr <= 1:
            raise ConfigError(
                f"signals: responses of at least {self.least_scr:g} µS are not usable",
                "set least_scr between 0.001 and 1; 0.01 to 0.05 is usual",
            )

    def window(self, start: float, end: float) -> Window:
        """Return the window around an utterance."""
        length = max(self.seconds, end - start)
        last = end if self.past_only else (start + end + length) / 2
        return Window(last - length, last, start, end)

    @property
    def baseline_windows(self) -> int:
        """Windows that the baseline is made of."""
        return max(1, int(self.baseline_seconds // self.seconds)) if self.baseline == "past" else 0

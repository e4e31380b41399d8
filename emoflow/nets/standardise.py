"""Inputs brought to mean 0 and deviation 1, by the training split."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from emoflow.errors import ConfigError

__all__ = ["Standardise"]


class Standardise(nn.Module):
    """Subtracts means and divides by deviations, both taken once; a checkpoint brings them along.

    Parameters
    ----------
    width
        Numbers to standardise, each by itself.
    what
        What they are made of, for error messages.
    """

    mean: Tensor
    """(number,) over the training utterances."""
    scale: Tensor
    """(number,) deviation over the training utterances."""
    fitted: Tensor
    """Whether both are known."""

    def __init__(self, width: int, what: str) -> None:
        super().__init__()
        self.what = what
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(self, parts: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take mean and deviation (n - 1) of every number; not read if they are known already.

        Parameters
        ----------
        parts
            Pairs of values (…, number) and which of them are known, alike or (…, 1). A number
            that varies nowhere is only shifted.

        Raises
        ------
        ConfigError
            If nothing at all is known.
        """
        if bool(self.fitted):
            return
        count = torch.zeros(self.mean.shape, dtype=torch.float64)
        mean, square = torch.zeros_like(count), torch.zeros_like(count)
        for values, known in parts:
            new = values.detach().cpu().double().flatten(0, -2)
            there = known.cpu().expand(values.shape).flatten(0, -2)
            new = new.masked_fill(~there, 0.0)
            added = there.sum(0).double()
            own = new.sum(0) / added.clamp(min=1)
            total = count + added
            away = own - mean
            square += ((new - own) * there).square().sum(0)
            square += away.square() * count * added / total.clamp(min=1)
            mean += away * added / total.clamp(min=1)
            count = total
        if not count.any():
            raise ConfigError(
                f"no training utterance has {self.what}, which the net has to standardise",
                "train on a corpus that has it, or choose a net that does not read it",
            )
        deviation = (square / (count - 1).clamp(min=1)).sqrt()
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(deviation > 1e-6, deviation, 1.0))
        self.fitted.fill_(True)

    def forward(self, values: Tensor) -> Tensor:
        """Any shape that ends in (number,) → the same, in float32.

        Raises
        ------
        ConfigError
            Before :meth:`fit`.
        """
        if not torch.compiler.is_compiling() and not bool(self.fitted):
            raise ConfigError(
                f"the net does not know mean and deviation of what it makes of {self.what} yet",
                "fit it or load a checkpoint; in a loop of your own call fit_inputs(training "
                "batches) of the module that has it first",
            )
        with torch.autocast(values.device.type, enabled=False):
            scaled: Tensor = (values.float() - self.mean.float()) / self.scale.float()
        return scaled

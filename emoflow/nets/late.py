"""Late fusion: every modality decides by itself, then their decisions are combined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Literal

import torch
from torch import Tensor, nn

from emoflow.nets.heads import Head, HeadConfig
from emoflow.nets.states import States

__all__ = ["LateFusion", "LateKind"]

LateKind = Literal["mean", "weighted", "stacked"]

_SHRINKAGE = 1e-2  # of the combination's parameters, per utterance: towards the mean


class LateFusion(nn.Module):
    """A head and a linear layer per modality; their decisions are combined over what is present.

    ``mean`` takes the mean probability (for one output: the mean value). ``weighted`` weighs the
    modalities; ``stacked`` multiplies powers of their probabilities, each times a factor per
    class (for one output: weights and offsets). The weights, powers and factors do not learn
    with the net: :meth:`fit_combination` finds them on validation outputs, and until then the
    mean is taken.
    """

    powers: Tensor
    """(modality,) log of the weights, or powers."""
    offsets: Tensor
    """(modality, output) log factors, or offsets of values."""
    fitted: Tensor
    """Whether a combination was found."""

    def __init__(
        self,
        heads: Mapping[str, HeadConfig],
        widths: Mapping[str, int],
        outputs: int,
        kind: LateKind,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.names = tuple(widths)
        built = {name: Head(width, heads[name]) for name, width in widths.items()}
        self.heads = nn.ModuleDict(built)
        self.outputs = nn.ModuleDict(
            {name: nn.Linear(head.width, outputs) for name, head in built.items()}
        )
        self.register_buffer("powers", torch.zeros(len(widths)))
        self.register_buffer("offsets", torch.zeros(len(widths), outputs))
        self.register_buffer("fitted", torch.tensor(False))

    def forward(self, sides: Mapping[str, States]) -> Tensor:
        """Return combined outputs (batch, output): log probabilities, or values."""
        combined = self.combine(*self.decide(sides))
        return combined.to(next(self.parameters()).dtype)

    def decide(self, sides: Mapping[str, States]) -> tuple[Tensor, Tensor]:
        """Return each modality's own outputs (batch, modality, output), and which are present."""
        count = next(iter(sides.values())).counts.shape[0]
        decisions, present = [], []
        for name, output in self.outputs.items():
            assert isinstance(output, nn.Linear)
            there = torch.zeros(count, dtype=torch.bool, device=output.weight.device)
            own = output.weight.new_zeros(count, output.out_features)
            if name in sides:
                there = sides[name].counts > 0
                own = output(self.heads[name](sides[name]))
            decisions.append(own.float())
            present.append(there)
        return torch.stack(decisions, dim=1), torch.stack(present, dim=1)

    def combine(self, decisions: Tensor, present: Tensor) -> Tensor:
        """Return the combination (batch, output) of what is present; of nothing, of zeros.

        Parameters
        ----------
        decisions
            (batch, modality, output) raw outputs.
        present
            (batch, modality); what is absent never reaches the result.
        """
        mean = self._combined(decisions, present, None, self.offsets)
        if self.kind == "mean":
            return mean
        found = self._combined(decisions, present, self.powers, self.offsets)
        return torch.where(self.fitted, found, mean)

    def _combined(
        self, decisions: Tensor, present: Tensor, powers: Tensor | None, offsets: Tensor
    ) -> Tensor:
        there = present[..., None]
        decisions = decisions.masked_fill(~there, 0.0)
        values = decisions.shape[2] == 1
        logs = decisions if values else decisions.log_softmax(dim=-1)
        if self.kind == "stacked" and powers is not None:
            offsets = offsets.masked_fill(~there, 0.0)
            if not values:
                powers = powers[:, None].masked_fill(~there, 0.0)
                return (powers * logs + offsets).sum(1).log_softmax(dim=-1)
            logs = logs + offsets
        weights = torch.zeros_like(present, dtype=logs.dtype) + (0.0 if powers is None else powers)
        anything = present.any(dim=1, keepdim=True)
        weights = weights.masked_fill(~present & anything, -torch.inf).log_softmax(dim=1)[..., None]
        if values:
            return (weights.exp() * logs).sum(1)
        return torch.logsumexp(logs + weights, dim=1)

    def fit_combination(
        self, decisions: Tensor, present: Tensor, loss: Callable[[Tensor], Tensor]
    ) -> None:
        """Find weights, powers and offsets on a validation split; nothing else changes.

        Every subset of the modalities counts alike, so that the combination is good for any
        that may be present. Parameters are held near the mean's, the more the fewer utterances
        there are; the same input gives the same result.

        Parameters
        ----------
        decisions, present
            What :meth:`decide` returns, of all utterances together.
        loss
            Outputs (utterance, output) to the mean loss.
        """
        if self.kind == "mean":
            return
        decisions = decisions.detach().double().cpu()
        present = present.cpu()
        classes = decisions.shape[2] > 1
        start = torch.zeros(len(self.names), dtype=torch.float64)
        if self.kind == "stacked" and classes:
            start += 1.0
        powers = start.clone().requires_grad_()
        offsets = torch.zeros(self.offsets.shape, dtype=torch.float64, requires_grad=True)
        shrinkage = _SHRINKAGE * 100 / max(100, len(decisions))
        subsets = [present & chosen for chosen in _subsets(len(self.names))]
        optimiser = torch.optim.LBFGS(
            [powers, offsets], max_iter=200, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimiser.zero_grad()
            total = ((powers - start).square().sum() + offsets.square().sum()) * shrinkage
            for there in subsets:
                total = total + loss(self._combined(decisions, there, powers, offsets)) / len(
                    subsets
                )
            total.backward()  # type: ignore[no-untyped-call]
            return total

        with torch.enable_grad():
            optimiser.step(closure)  # type: ignore[no-untyped-call]
        self.powers.copy_(powers.detach())
        self.offsets.copy_(offsets.detach())
        self.fitted.fill_(True)


def _subsets(count: int) -> list[Tensor]:
    """Return every subset that is not empty, (modality,) bool each."""
    chosen: list[Sequence[int]] = [
        picked for size in range(1, count + 1) for picked in combinations(range(count), size)
    ]
    return [torch.tensor([n in picked for n in range(count)]) for picked in chosen]

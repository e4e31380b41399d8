"""Training throughput of each stage against the plain rendering of the published design.

    python benchmarks/stages.py 1
    python benchmarks/stages.py 1 --precision bf16
    python benchmarks/stages.py 2 --seconds 300
    python benchmarks/stages.py 3

Utterances per second, optimiser step included, on KEMDy20's length distribution. Both sides
take turns, batch by batch; the ratio is that of the median rates. First it trains both sides on
equal weights and full-length utterances, where they compute the same: their losses must agree.

- Plain (plain.py): batches of 16 in random order, padded to 512 frames and 64 tokens. It is
  GIVEN its log-mel features ready-made.
- emoflow: batches by length (16 utterances or 128 s, 4,096 tokens in stage 2) and, in stage 1,
  from waveforms: log-mel and masking are inside the time, as are padding and collating.
- What is frozen is stored: stage 2 reads BERT's states, stage 3 both towers'; random numbers
  of the right shapes stand in for the store. Filling it costs once what the line "one-off"
  says; the last line counts it in.
- --precision bf16: plain in autocast; emoflow as `emoflow fit` does it, which is in autocast,
  too, unless the CPU would have to emulate bf16 (then in 32 bits; --autocast insists).
- Both with Adam, each in a process of its own: emoflow's flushes denormal numbers, as
  `emoflow fit` does. Gradients fade on their way through a recurrent net, and a CPU is slow with
  what is left of them.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import time
from multiprocessing.connection import Connection
from statistics import median

import numpy as np
import torch
from equal import compare
from sides import QUICK, Side, Sizes, emoflow_net, emoflow_side, plain_net, plain_side
from torch import nn
from utterances import Utterances

from emoflow.commands.machine import fast_precision

BETWEEN = 4  # emoflow's batches for one of the plain side
EPOCHS = 10  # over which the last line spreads the one-off cost


@torch.inference_mode()
def one_off(stage: int, net: nn.Module, utterances: Utterances, bf16: bool) -> float:
    """Return seconds per utterance to fill the store, batched by length."""
    started, count = time.perf_counter(), 0
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for waveforms, samples, tokens, counts in utterances.waveforms():
            net.text.frozen_part(tokens, counts)
            if stage == 3:
                net.speech.frozen_part(waveforms, samples)
            count += len(samples)
    return (time.perf_counter() - started) / count


def train_plain(pipe: Connection, stage: int, sizes: Sizes, bf16: bool) -> None:
    """Train the plain net in a process of its own, a batch whenever asked."""
    torch.manual_seed(0)
    batches = Utterances(stage, sizes).plain()
    side = plain_side(stage, plain_net(stage, sizes).train(), bf16)
    if stage > 1:  # frozen parts do not drop out
        (side.net.tower.bert if stage == 2 else side.net.speech).eval()
        if stage == 3:
            side.net.text.eval()
    while pipe.recv():
        side.train(batches)
        pipe.send((side.utterances, side.seconds))
        side.utterances, side.seconds = 0, 0.0


def measure_round(plain: Connection, ours: Side, utterances: Utterances) -> tuple[float, float]:
    """Train both, a batch of the plain side between every few of emoflow's; return the rates."""
    by_length = utterances.emoflow()
    answers = []
    for number in range(len(utterances.plan)):
        if number % BETWEEN == 0:
            plain.send(True)
            answers.append(plain.recv())
        ours.train(by_length)
    counts, seconds = np.array(answers).sum(axis=0)
    rate = ours.utterances / ours.seconds
    ours.utterances, ours.seconds = 0, 0.0
    return counts / seconds, rate


def main() -> None:
    """Compare, warm up, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stage", nargs="?", type=int, choices=(1, 2, 3), default=1)
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--autocast", action="store_true", help="emoflow too, even if emulated")
    parser.add_argument("--seconds", type=float, default=240, help="start no round after these")
    parser.add_argument("--batches", type=int, default=12, help="of emoflow's in a round")
    parser.add_argument("--quick", action="store_true", help="tiny nets, meaningless figures")
    options = parser.parse_args()
    stage, sizes = options.stage, QUICK if options.quick else Sizes(batches=options.batches)
    torch.set_flush_denormal(True)  # as `emoflow fit` does
    torch.manual_seed(0)
    compare(stage, sizes, 1 if options.quick else 3)

    bf16, utterances = options.precision == "bf16", Utterances(stage, sizes)
    fast, _ = fast_precision({"precision": "bf16-mixed", "accelerator": "cpu"})
    our_bf16 = bf16 and (options.autocast or fast == "bf16-mixed")
    plain, other_end = mp.Pipe()
    arguments = (other_end, stage, sizes, bf16)
    mp.get_context("spawn").Process(target=train_plain, args=arguments, daemon=True).start()
    ours = emoflow_side(stage, emoflow_net(stage, sizes).train(), our_bf16)
    measure_round(plain, ours, utterances)  # a warm-up
    started = time.perf_counter()
    measured: list[tuple[float, float]] = []
    rounds = 1 if options.quick else 3
    while len(measured) < rounds or time.perf_counter() - started < options.seconds:
        measured.append(measure_round(plain, ours, utterances))
    plain.send(False)

    rates = median(p for p, _ in measured), median(o for _, o in measured)
    each = sorted(o / p for p, o in measured)
    print(f"stage {stage}, {options.precision}, {torch.get_num_threads()} threads")
    print(f"plain:   {rates[0]:8.2f} utterances/s, median of {len(measured)} rounds")
    in_32 = ", computing in 32 bits" if bf16 and not our_bf16 else ""
    print(f"emoflow: {rates[1]:8.2f} utterances/s{in_32}")
    print(f"ratio:   {rates[1] / rates[0]:8.2f} (rounds {each[0]:.2f} to {each[-1]:.2f})")
    if stage > 1:
        cost = one_off(stage, ours.net.eval(), utterances, our_bf16)
        spread = 1 / (1 / rates[1] + cost / EPOCHS)
        print(f"one-off: {1000 * cost:.1f} ms per utterance to fill the store")
        print(f"ratio over {EPOCHS} epochs, one-off included: {spread / rates[0]:.2f}")


if __name__ == "__main__":
    main()

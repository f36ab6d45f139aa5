"""What the benchmark of a decoder layer runs on: its calibrated program, and texts that no range has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aegis_fhe.bench.layer_benchmark import LayerText
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.errors import RangeError
from aegis_fhe.models.decoder_recipe import MOST_BABIES
from aegis_fhe.models.smollm2 import OneLayer, SmolLM2
from aegis_fhe.program.long.compile import LongProgram
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.program.simulate import simulate

_EXACT = 60.0  # bits of noise: none, the check of ranges is of the text alone


@dataclass(frozen=True, eq=False)
class DecoderSample:
    """outside: what of the texts left its calibrated range, in words; there errors may be of any size."""

    program: LongProgram
    texts: tuple[LayerText, ...]
    outside: tuple[str, ...]


def decoder_sample(
    model: Path | None,
    lines: Sequence[str],
    *,
    layer: int,
    tokens: int,
    calibration: int,
    texts: int,
    bootstrap: BootstrapPlan,
    say: Callable[[str], None] = lambda line: None,
) -> DecoderSample:
    """The first `tokens` tokens of each line that has as many, the public ones first.

    The first `calibration` of them give the ranges, the next `texts` are run. The model is loaded in here and
    given up before anything is encrypted. Raises RangeError for too few lines.
    """
    language = SmolLM2.load(model)
    turns = (language.token_ids(line) for line in lines)
    long = [ids[:tokens] for ids in turns if len(ids) >= tokens][: calibration + texts]
    if len(long) < calibration + texts:
        raise RangeError(
            f"{len(long)} texts have {tokens} tokens, {calibration + texts} are needed: give more, or ask "
            "for fewer tokens"
        )
    one = OneLayer.of(language, layer, tokens=tokens, public_tokens=len(language.public_ids))
    say(f"hidden states before layer {layer} of {len(long)} texts")
    states = [one.states(language.embed(ids)) for ids in long]
    ranges = one.calibrate(states[:calibration], origin=f"{calibration} texts of {tokens} tokens")
    rng, run = np.random.default_rng(), states[calibration:]
    outside = [
        message
        for x in run
        for message in simulate(one.own, one.weights, ranges, x, noise_bits=_EXACT, rng=rng).outside
    ]
    packing = Packing(most_babies=MOST_BABIES)
    program = one.compile(ranges, run[0], tokens=tokens, bootstrap=bootstrap, packing=packing)
    return DecoderSample(program, tuple(LayerText(x, one.exact(x)) for x in run), tuple(outside))

"""Texts that leave the calibrated ranges: found in clear, by the client, before anything is encrypted."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.encoder import EncoderRanges
from aegis_fhe.program.encoder.simulate import SimulatedEncoder

Array = NDArray[np.float64]


def warn_of_ranges(encoder: TextEncoder, program: CompiledProgram, texts: Sequence[Array]) -> list[list[str]]:
    """For every text what leaves its range, in words; a line on standard error for each that has any.

    As the program's polynomials meet it: `SimulatedEncoder.outside`.
    """
    assert isinstance(program.ranges, EncoderRanges)
    layers, head = encoder.parts()
    simulated = SimulatedEncoder.of(layers, program.ranges, max_tokens=program.max_tokens, head=head)
    found = [list(simulated.outside(hidden)) for hidden in texts]
    for number, words in enumerate(found, 1):
        if words:
            more = f", and {len(words) - 1} more" if len(words) > 1 else ""
            print(
                f"WARNING: text {number} leaves the calibrated ranges ({words[0]}{more}): its result may be "
                "wrong; calibrate on texts like it (aegis calibrate)",
                file=sys.stderr,
                flush=True,
            )
    return found

"""A program on texts in one of three modes, with what that took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from aegis_fhe.cli.encrypted_run import EncryptedRun
from aegis_fhe.cli.range_warnings import warn_of_ranges
from aegis_fhe.cli.seed import seed_number
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.results import Result

Array = NDArray[np.float64]


class Mode(str, Enum):
    """encrypted: ciphertexts; simulate: float64 with noise drawn as encryption adds it; clear: no noise."""

    ENCRYPTED = "encrypted"
    SIMULATE = "simulate"
    CLEAR = "clear"


@dataclass(frozen=True, kw_only=True)
class ModeOptions:
    """devices, keep, quiet: of encrypted runs alone. seed: of keys, ciphertexts, noise."""

    mode: Mode
    devices: int
    seed: str | None
    keep: Path | None
    quiet: bool


def run_texts(
    encoder: TextEncoder, program: CompiledProgram, ids: Sequence[Sequence[int]], options: ModeOptions
) -> tuple[list[Array], Sequence[Result], dict[str, Any]]:
    """What the client encrypts of each text, the results, and facts; encrypted, `EncryptedRun.facts` too.

    `outside_ranges`: in words, and a warning. Raises RangeError for a text too long, CapacityError,
    WorkerError.
    """
    for one in ids:
        program.context(len(one))
    hidden = [encoder.embed(list(one)) for one in ids]
    facts: dict[str, Any] = {"mode": options.mode.value, "tokens": [len(one) for one in ids]}
    facts["outside_ranges"] = warn_of_ranges(encoder, program, hidden)
    if options.mode is Mode.CLEAR:
        return hidden, [program.run_clear(one) for one in hidden], facts
    if options.mode is Mode.SIMULATE:
        number = seed_number(options.seed)
        return hidden, [program.run_simulated(one, seed=number) for one in hidden], facts
    run = EncryptedRun.prepare(program, options.devices, hidden, keep=options.keep, quiet=options.quiet)
    run.announce(Console(stderr=True, quiet=options.quiet), facts["tokens"])
    session = run.run(hidden, options.seed)
    return hidden, session.results, facts | run.facts(session)

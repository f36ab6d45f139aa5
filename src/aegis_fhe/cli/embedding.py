"""Embeddings of texts by a compiled program, in one of three modes, with what they took."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from aegis_fhe.cli.encrypted_run import EncryptedRun
from aegis_fhe.cli.range_warnings import warn_of_ranges
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.observe.table import format_seconds, results_table
from aegis_fhe.program.compiled import CompiledProgram

Array = NDArray[np.float64]


class Mode(str, Enum):
    """encrypted: ciphertexts; simulate: float64 with noise drawn as encryption adds it; clear: no noise."""

    ENCRYPTED = "encrypted"
    SIMULATE = "simulate"
    CLEAR = "clear"


def embeddings(
    encoder: TextEncoder,
    program: CompiledProgram,
    ids: Sequence[Sequence[int]],
    mode: Mode,
    *,
    devices: int,
    seed: str | None,
    keep: Path | None,
    quiet: bool,
) -> dict[str, Any]:
    """`embeddings` of length 1, each with its cosine to PyTorch's; when encrypted, `EncryptedRun.facts` too.

    `outside_ranges`: in words, and a warning. Raises RangeError for a text too long, CapacityError,
    WorkerError.
    """
    for one in ids:
        program.context(len(one))
    hidden = [encoder.embed(list(one)) for one in ids]
    facts: dict[str, Any] = {"mode": mode.value, "tokens": [len(one) for one in ids]}
    facts["outside_ranges"] = warn_of_ranges(encoder, program, hidden)
    if mode is Mode.ENCRYPTED:
        run = EncryptedRun.prepare(program, devices, hidden, keep=keep, quiet=quiet)
        run.announce(Console(stderr=True, quiet=quiet), facts["tokens"])
        session = run.run(hidden, seed)
        results = [result.hidden[0] for result in session.results]
        facts |= run.facts(session)
    elif mode is Mode.SIMULATE:
        number = 0 if seed is None else int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "little")
        results = [program.run_simulated(one, seed=number).hidden[0] for one in hidden]
    else:
        results = [program.run_clear(one).hidden[0] for one in hidden]
    units = [result / np.linalg.norm(result) for result in results]
    references = [encoder.sentence(one) for one in hidden]
    facts["embeddings"] = [unit.tolist() for unit in units]
    facts["cosines_to_clear_model"] = [
        float(unit @ reference / np.linalg.norm(reference))
        for unit, reference in zip(units, references, strict=True)
    ]
    facts["similarities"] = (np.array(units) @ np.array(units).T).tolist()
    return facts


def print_embeddings(console: Console, texts: Sequence[str], facts: dict[str, Any]) -> None:
    """A row for each text: its embedding's cosine to PyTorch's, and its similarity to the first text."""
    rows = [
        (text if len(text) <= 40 else text[:37] + "...", f"{cosine:.6f}", f"{similar[0]:.4f}")
        for text, cosine, similar in zip(
            texts, facts["cosines_to_clear_model"], facts["similarities"], strict=True
        )
    ]
    columns = ("text", "to PyTorch", "to the first")
    console.print(results_table(f"Embeddings, {facts['mode']}: cosines", columns, rows))
    console.print(f"everything: {format_seconds(facts['seconds'])}; the vectors: --json")

"""Embeddings of texts by a compiled program, in one of three modes, with what they took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from aegis_fhe.cli.modes import ModeOptions, run_texts
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.observe.table import format_seconds, results_table
from aegis_fhe.program.compiled import CompiledProgram


def embeddings(
    encoder: TextEncoder, program: CompiledProgram, ids: Sequence[Sequence[int]], options: ModeOptions
) -> dict[str, Any]:
    """The facts of `run_texts`, and `embeddings` of length 1, each with its cosine to PyTorch's."""
    hidden, results, facts = run_texts(encoder, program, ids, options)
    means = [result.hidden[0] for result in results]
    units = [mean / np.linalg.norm(mean) for mean in means]
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

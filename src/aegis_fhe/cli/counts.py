"""`aegis counts`: what a model of a known shape costs at any length, without weights and without keys."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.console import Console

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.errors import AegisError
from aegis_fhe.observe.table import format_bytes, results_table
from aegis_fhe.program.long.counts import LayerCounts, count_layer
from aegis_fhe.program.long.shape import BERT_BASE, SMOLLM2_135M, Degrees, LayerShape

# name -> (one of its equal layers, how many, degrees of its polynomials: assumed, no ranges were calibrated)
MODELS: dict[str, tuple[LayerShape, int, Degrees]] = {
    "bert-base": (BERT_BASE, 12, Degrees()),
    "smollm2-135m": (SMOLLM2_135M, 30, Degrees(reciprocal=127, newton_steps=2, activation=31)),
}


def counts(
    model: Annotated[str, typer.Argument(help=f"One of {', '.join(MODELS)}.")],
    tokens: Annotated[int, typer.Option(min=8, max=4096, help="Length of the text.")] = 2048,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Count a model's operations, bootstraps, weights and keys at any length."""
    if model not in MODELS:
        raise AegisError(f"model {model!r} is unknown: expected one of {', '.join(MODELS)}")
    start = time.monotonic()
    shape, layers, degrees = MODELS[model]
    counted = count_layer(shape, presets.n16(), tokens=tokens, degrees=degrees)
    facts = {"model": model, "tokens": tokens, "layers": layers, **_facts(counted)}
    facts["seconds"] = round(time.monotonic() - start, 3)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    rows = [
        ("tokens, sub-slots of a ciphertext", f"{counted.layout.tokens}, {counted.layout.sub_slots}"),
        *((name.replace("_", " "), f"{facts['layer'][name]:,}") for name in facts["layer"]),
        ("encoded weights", format_bytes(counted.encoded_weight_bytes)),
        (f"evaluation keys, {len(counted.key_requests)}", format_bytes(counted.key_bytes)),
        ("bootstraps of all layers", f"{layers * counted.bootstraps:,}"),
        ("encoded weights of all layers", format_bytes(layers * counted.encoded_weight_bytes)),
    ]
    console = Console()
    console.print(
        results_table(f"{model}, {tokens} tokens, one of {layers} layers", ("quantity", "count"), rows)
    )
    console.print(f"refreshed: {', '.join(sorted(counted.refreshes.refreshed))}")
    console.print(f"the degrees of the polynomials are assumed, not calibrated: {degrees}")


def _facts(counted: LayerCounts) -> dict[str, Any]:
    return {
        "layer": {
            "rotations": counted.rotations,
            "products": counted.products,
            "relinearisations": counted.relinearisations,
            "plain_products": counted.plain_products,
            "bootstraps": counted.bootstraps,
        },
        "encoded_weight_bytes": counted.encoded_weight_bytes,
        "key_bytes": counted.key_bytes,
        "refreshed": sorted(counted.refreshes.refreshed),
    }

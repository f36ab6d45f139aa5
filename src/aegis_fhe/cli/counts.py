"""`aegis counts`: what a model of a known shape costs at any length, without weights and without keys."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.errors import AegisError
from aegis_fhe.models.smollm2.layer_degrees import LayerDegrees
from aegis_fhe.observe.table import format_bytes, results_table
from aegis_fhe.program.long.counts import LayerCounts, count_keys, count_layer, symbolic_nodes
from aegis_fhe.program.long.shape import BERT_BASE, SMOLLM2_135M, Degrees, LayerShape

SHAPES: dict[str, LayerShape] = {"bert-base": BERT_BASE, "smollm2-135m": SMOLLM2_135M}
_ASSUMED = LayerDegrees(layers=(Degrees(),) * 12, tokens=2048, origin="no text, assumed")
OPERATIONS = ("rotations", "products", "relinearisations", "plain_products", "bootstraps")


@dataclass(frozen=True)
class _Kind:
    """Layers of the same degrees, and what one of them costs."""

    layers: list[int]
    degrees: Degrees
    counts: LayerCounts


def counts(
    model: Annotated[str, typer.Argument(help=f"One of {', '.join(SHAPES)}.")],
    tokens: Annotated[int, typer.Option(min=8, max=4096, help="Length of the text.")] = 2048,
    degrees: Annotated[
        Path | None, typer.Option(help="Degrees of every layer, as JSON (LayerDegrees), in place of ours.")
    ] = None,
    most_scores: Annotated[
        int | None,
        typer.Option(min=0, help="Of score ciphertexts that stay between rounds of a softmax; else any."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Count a model's operations, bootstraps, weights and keys at any length."""
    if model not in SHAPES:
        raise AegisError(f"model {model!r} is unknown: expected one of {', '.join(SHAPES)}")
    start, known = time.monotonic(), _degrees(model, degrees)
    kinds = _kinds(SHAPES[model], known, tokens, most_scores)
    facts = {"model": model, "tokens": tokens, **_facts(kinds), "degrees_of": known.origin}
    facts["seconds"] = round(time.monotonic() - start, 3)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    console = Console()
    _print(console, model, tokens, kinds, facts)
    console.print(
        f"degrees of polynomials and rounds of softmax: for {known.tokens} tokens of {known.origin}"
    )


def _degrees(model: str, path: Path | None) -> LayerDegrees:
    if path is not None:
        return LayerDegrees.read(path)
    return LayerDegrees.shipped() if model == "smollm2-135m" else _ASSUMED


def _kinds(shape: LayerShape, known: LayerDegrees, tokens: int, most_scores: int | None) -> list[_Kind]:
    """Layers by their degrees: those alike are counted once."""
    members: dict[Degrees, list[int]] = {}
    for index, one in enumerate(known.layers):
        members.setdefault(one, []).append(index)
    bootstrap = presets.n16()
    nodes = symbolic_nodes(bootstrap)
    return [
        _Kind(
            layers,
            one,
            count_layer(shape, bootstrap, tokens=tokens, degrees=one, most_scores=most_scores, known=nodes),
        )
        for one, layers in members.items()
    ]


def _facts(kinds: Sequence[_Kind]) -> dict[str, Any]:
    """Of each kind of layer, of all layers, and of the kind that most layers are of."""
    number, size = count_keys((kind.counts for kind in kinds), presets.n16())
    rows: list[dict[str, Any]] = [
        {
            "layers": kind.layers,
            "degrees": asdict(kind.degrees),
            "layer": {name: getattr(kind.counts, name) for name in OPERATIONS},
            "encoded_weight_bytes": kind.counts.encoded_weight_bytes,
            "key_bytes": kind.counts.key_bytes,
            "refreshed": sorted(kind.counts.refreshes.refreshed),
        }
        for kind in kinds
    ]
    total = {
        name: sum(len(kind.layers) * getattr(kind.counts, name) for kind in kinds)
        for name in (*OPERATIONS, "encoded_weight_bytes")
    }
    commonest = max(rows, key=lambda row: len(row["layers"]))
    return {
        "layers": sum(len(kind.layers) for kind in kinds),
        "kinds": rows,
        "total": total,
        "keys": number,
        **{name: commonest[name] for name in ("layer", "encoded_weight_bytes", "refreshed")},
        "key_bytes": size,
    }


def _print(console: Console, model: str, tokens: int, kinds: Sequence[_Kind], facts: dict[str, Any]) -> None:
    layout, total = kinds[0].counts.layout, facts["total"]
    rows = [
        ("tokens, sub-slots of a ciphertext", f"{layout.tokens}, {layout.sub_slots}"),
        *((f"{name.replace('_', ' ')} of all layers", f"{total[name]:,}") for name in OPERATIONS),
        ("encoded weights of all layers", format_bytes(total["encoded_weight_bytes"])),
        (f"evaluation keys, {facts['keys']}", format_bytes(facts["key_bytes"])),
    ]
    title = f"{model}, {tokens} tokens, {facts['layers']} layers"
    console.print(results_table(title, ("quantity", "count"), rows))
    columns = ("layers", "rounds", *(name.replace("_", " ") for name in OPERATIONS))
    each = [
        (_numbers(kind.layers), str(len(kind.degrees.rounds)), *(f"{row['layer'][n]:,}" for n in OPERATIONS))
        for kind, row in zip(kinds, facts["kinds"], strict=True)
    ]
    console.print(results_table("One layer of each kind", columns, each))


def _numbers(layers: Sequence[int]) -> str:
    """0, 1, 2, 5 -> 0-2, 5."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)

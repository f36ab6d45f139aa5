"""`aegis calibrate`: where a model's values lie on sample text, as a file that `aegis compile` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from aegis_fhe.cli.sample_lines import sample_lines
from aegis_fhe.models.minilm import TOKENS
from aegis_fhe.models.minilm import calibrate as calibrate_encoder_on
from aegis_fhe.models.minilm.recipe import ShippedRanges
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.observe.table import results_table
from aegis_fhe.program.encoder import EncoderRanges


def calibrate(
    texts: Annotated[Path, typer.Argument(help="Sample texts in UTF-8, one per line.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the ranges go, as JSON.")],
    model: Annotated[Path | None, typer.Option(help="Folder in Hugging Face format (BERT).")] = None,
    tokens: Annotated[int, typer.Option(min=3, help="Length of the windows, in tokens.")] = TOKENS,
    as_json: Annotated[bool, typer.Option("--json", help="The ranges on standard output too.")] = False,
) -> None:
    """Find the ranges of a model's values on sample text, and report them."""
    encoder = TextEncoder.load(model)
    ranges = calibrate_encoder_on(encoder, sample_lines(texts), tokens=tokens)
    found = ShippedRanges(encoder.fingerprint(), tokens, ranges)
    output.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        report(Console(), ranges)


def report(console: Console, ranges: EncoderRanges) -> None:
    """Every range, margins included."""
    rows = []
    for index, layer in enumerate(ranges.layers):
        attention, variance = layer.attention, layer.variance
        rows += [
            (f"layer {index}: scores less their prediction", _interval(attention.score)),
            ("softmax denominators", _interval(attention.denominator)),
            ("first variance", _interval(attention.variance)),
            ("second variance, first token", _interval(variance.opening)),
            ("second variance, words", _interval(variance.inner)),
            ("second variance, last token", _interval(variance.closing)),
            ("input, V, first result", f"{layer.hidden:.3g}, {layer.value:.3g}, {layer.middle:.3g}"),
            ("activation, second sum", f"{layer.activation:.3g}, {layer.residual:.3g}"),
        ]
    rows.append(("output", f"{ranges.output:.3g}"))
    console.print(results_table(f"Ranges on {ranges.origin}", ("value", "interval or bound"), rows))


def _interval(interval: object) -> str:
    low, high = msgspec.structs.astuple(interval)  # type: ignore[arg-type]
    return f"[{low:.4g}, {high:.4g}]"

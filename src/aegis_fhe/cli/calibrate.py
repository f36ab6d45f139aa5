"""`aegis calibrate`: where a model's values lie on sample text, as a file that `aegis compile` takes.

With `--kernels`, `--link`: how fast this machine is, and what is between its processes, as files that plans
are made with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from aegis_fhe.cli.calibrate_kernels import calibrate_kernels
from aegis_fhe.cli.calibrate_processes import calibrate_processes
from aegis_fhe.cli.sample_lines import sample_lines
from aegis_fhe.errors import ParameterError
from aegis_fhe.models.minilm import TOKENS
from aegis_fhe.models.minilm import calibrate as calibrate_encoder_on
from aegis_fhe.models.minilm.recipe import ShippedRanges, sample_states
from aegis_fhe.models.near_bounds import NearBound, NearBounds, near_bounds
from aegis_fhe.models.ranges_file import write_ranges
from aegis_fhe.models.text_model import load_text_model
from aegis_fhe.observe.table import results_table
from aegis_fhe.program.encoder import EncoderLayerRanges, EncoderRanges, HeadRanges


def calibrate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the result goes, as JSON.")],
    texts: Annotated[Path | None, typer.Argument(help="Sample texts in UTF-8, one per line.")] = None,
    model: Annotated[Path | None, typer.Option(help="BERT: a folder, or owner/name of the hub.")] = None,
    tokens: Annotated[int, typer.Option(min=3, help="Length of the windows, in tokens.")] = TOKENS,
    as_json: Annotated[bool, typer.Option("--json", help="The result on standard output too.")] = False,
    kernels: Annotated[bool, typer.Option("--kernels", help="Measure this machine instead.")] = False,
    device: Annotated[
        str | None, typer.Option(help="With --kernels: a GPU, cuda or cuda:1; by default the processor.")
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Measure the link between processes of this machine instead.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="With --kernels: predicted and measured operations (6 GiB).")
    ] = False,
) -> None:
    """Find the ranges of a model's values on sample text, and report them."""
    if kernels or link:
        if texts is not None or model is not None or (kernels and link):
            raise ParameterError(
                "--kernels measures this machine, --link what is between its processes: give one of them, "
                "and no texts and no model with it"
            )
        if link:
            calibrate_processes(output, as_json=as_json)
        else:
            calibrate_kernels(output, device=device, check=check, as_json=as_json)
        return
    if texts is None or check or device is not None:
        raise ParameterError(
            "give sample texts, or --kernels (alone with --check and --device) or --link to measure this "
            "machine"
        )
    encoder, lines = load_text_model(model), sample_lines(texts)
    ranges = calibrate_encoder_on(encoder, lines, tokens=tokens)
    layers, head = encoder.parts()
    near = near_bounds(layers, ranges, sample_states(encoder, lines, tokens=tokens), head=head)
    found = ShippedRanges(encoder.fingerprint(), tokens, ranges, near)
    write_ranges(output, found)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        report(Console(), ranges, near)


def report(console: Console, ranges: EncoderRanges, near: NearBounds) -> None:
    """Every range, margins included, and how many texts came near it."""
    rows: list[tuple[str, str, str]] = []
    for index, (layer, counts) in enumerate(zip(ranges.layers, near.layers, strict=True)):
        rows += _rows(f"layer {index}", _intervals(layer), counts)
    rows.append(("output", f"{ranges.output:.3g}", ""))
    if ranges.head is not None:
        rows += _rows("head", _head_bounds(ranges.head), near.head)
    columns = ("value", "interval or bound", "near | extreme")
    console.print(results_table(f"Ranges on {ranges.origin}", columns, rows))
    console.print(
        f"Near: texts within 10 % of the bound; any bound: {near.near} of {near.texts} ({near.share:.1%}). "
        "Extreme: texts within 10 % of the nearest that a text came; 1: one text alone set the range."
    )


def _rows(
    part: str, intervals: Mapping[str, str], counts: Mapping[str, NearBound]
) -> Iterator[tuple[str, str, str]]:
    """The part is named in its first row."""
    for number, (name, interval) in enumerate(intervals.items()):
        count = counts.get(name, NearBound(near=0, extreme=0))
        yield (name if number else f"{part}: {name}", interval, f"{count.near} | {count.extreme}")


def _head_bounds(head: HeadRanges) -> dict[str, str]:
    found = {"tanh input": head.pooler, "logits": head.logits}
    return {name: f"{bound:.3g}" for name, bound in found.items() if bound is not None}


def _intervals(layer: EncoderLayerRanges) -> dict[str, str]:
    """By the names of `encoder_extremes`."""
    attention, variance = layer.attention, layer.variance
    return {
        "scores": _interval(attention.score),
        "softmax denominators": _interval(attention.denominator),
        "variances": _interval(attention.variance),
        "input": f"{layer.hidden:.3g}",
        "V": f"{layer.value:.3g}",
        "first result": f"{layer.middle:.3g}",
        "activation input": f"{layer.activation:.3g}",
        "second sum": f"{layer.residual:.3g}",
        "second variance, first token": _interval(variance.opening),
        "second variance, words": _interval(variance.inner),
        "second variance, last token": _interval(variance.closing),
    }


def _interval(interval: object) -> str:
    low, high = msgspec.structs.astuple(interval)  # type: ignore[arg-type]
    return f"[{low:.4g}, {high:.4g}]"

"""`aegis compile`: a sentence encoder or a language model as a folder that `aegis run` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from aegis_fhe.cli.decoder_compile import compile_decoder_folder
from aegis_fhe.cli.sample_lines import sample_lines
from aegis_fhe.errors import AegisError, CompatibilityError
from aegis_fhe.models.decoders import decoder_kind
from aegis_fhe.models.minilm import TOKENS, compile_sentence_encoder
from aegis_fhe.models.minilm.recipe import ShippedRanges
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.observe.table import format_bytes, results_table
from aegis_fhe.service.compiled_folder import CompiledFolder

PACKAGED = "minilm"
_MODEL_HELP = (
    f"'{PACKAGED}', 'smollm2', a GGUF file, or a folder in Hugging Face format (BERT, GPT-2, LLaMA)."
)


def compile(
    model: Annotated[str, typer.Argument(help=_MODEL_HELP)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    tokens: Annotated[
        int | None, typer.Option(min=3, help=f"Longest text: by default {TOKENS}, of language models 128.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Of language models: only the first so many layers.")
    ] = None,
    ranges: Annotated[Path | None, typer.Option(help="What `aegis calibrate` wrote.")] = None,
    calibration: Annotated[Path | None, typer.Option(help="Sample texts, one per line.")] = None,
) -> None:
    """Compile an encoder or a language model into a folder that `aegis run` takes."""
    kind = None if model == PACKAGED else decoder_kind(model)
    if kind is not None:
        if ranges is not None:
            raise AegisError("--ranges is for encoders: language models are calibrated as they are compiled")
        compile_decoder_folder(kind, model, output, tokens=tokens, layers=layers, calibration=calibration)
        return
    if layers is not None:
        raise AegisError("--layers is for language models: an encoder is compiled whole")
    source = None if model == PACKAGED else Path(model)
    encoder = TextEncoder.load(source)
    program = compile_sentence_encoder(
        encoder,
        tokens=TOKENS if tokens is None else tokens,
        calibration=sample_lines(calibration),
        ranges=None if ranges is None else _read(ranges, encoder).ranges,
    )
    folder = CompiledFolder(output)
    folder.write(program, source, encoder.fingerprint())
    counts = program.counts()
    rows = [
        ("tokens", str(program.max_tokens)),
        ("security", program.params.describe_security()),
        *((name, f"{count:g}") for name, count in counts.totals().items()),
        ("keys", str(len(counts.key_requests()))),
        ("file", format_bytes(folder.program.stat().st_size)),
        ("fingerprint", program.fingerprint[:32]),
    ]
    Console().print(results_table(program.origin, ("quantity", "value"), rows))


def _read(path: Path, encoder: TextEncoder) -> ShippedRanges:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=ShippedRanges)
    except (OSError, msgspec.MsgspecError) as error:
        raise AegisError(f"{path} holds no ranges ({error}): write them with `aegis calibrate`") from error
    if found.fingerprint != encoder.fingerprint():
        raise CompatibilityError(f"{path} was calibrated on other weights than {encoder.folder}'s")
    return found

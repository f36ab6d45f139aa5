"""`aegis compile`: an encoder, a classifier or a language model as a folder that `aegis run` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aegis_fhe.cli.decoder_compile import compile_decoder_folder
from aegis_fhe.cli.sample_lines import sample_lines
from aegis_fhe.errors import AegisError
from aegis_fhe.models.classifier import TextClassifier, compile_classifier
from aegis_fhe.models.decoders import decoder_kind
from aegis_fhe.models.minilm import TOKENS, compile_sentence_encoder
from aegis_fhe.models.ranges_file import read_ranges
from aegis_fhe.models.text_model import load_text_model
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
    """Compile an encoder, a classifier or a language model into a folder that `aegis run` takes."""
    kind = None if model == PACKAGED else decoder_kind(model)
    if kind is not None:
        if ranges is not None:
            raise AegisError("--ranges is for encoders: language models are calibrated as they are compiled")
        compile_decoder_folder(kind, model, output, tokens=tokens, layers=layers, calibration=calibration)
        return
    if layers is not None:
        raise AegisError("--layers is for language models: an encoder is compiled whole")
    _compile_encoder(
        model, output, tokens=TOKENS if tokens is None else tokens, ranges=ranges, calibration=calibration
    )


def _compile_encoder(
    model: str, output: Path, *, tokens: int, ranges: Path | None, calibration: Path | None
) -> None:
    """Writes the folder of a sentence encoder or a classifier, and says what is in it."""
    source = None if model == PACKAGED else Path(model)
    encoder, samples = load_text_model(source), sample_lines(calibration)
    known = None if ranges is None else read_ranges(ranges, encoder).ranges
    if isinstance(encoder, TextClassifier):
        program = compile_classifier(encoder, tokens=tokens, calibration=samples, ranges=known)
    else:
        program = compile_sentence_encoder(encoder, tokens=tokens, calibration=samples, ranges=known)
    folder = CompiledFolder(output)
    # The folder, not the name: of a model from the hub, where its download lies.
    folder.write(program, None if source is None else encoder.folder, encoder.fingerprint())
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

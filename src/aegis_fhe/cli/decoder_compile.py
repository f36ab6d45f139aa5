"""A language model as a folder that `aegis run` takes."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from aegis_fhe.cli.sample_lines import sample_lines
from aegis_fhe.models.datasets.news import load_news
from aegis_fhe.models.decoder_recipe import TOKENS, compile_language_model
from aegis_fhe.models.decoders import PACKAGED, load_decoder
from aegis_fhe.observe.table import format_bytes, results_table
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.service.compiled_folder import CompiledFolder


def compile_decoder_folder(
    kind: str,
    model: str,
    output: Path,
    *,
    tokens: int | None,
    layers: int | None,
    calibration: Path | None,
) -> None:
    """Writes the folder and says what is in it. Ranges come from `calibration`, by default from news."""
    path = None if model == PACKAGED else Path(model)
    language = load_decoder(kind, path)
    count = len(language.layers) if layers is None else layers
    program = compile_language_model(
        language,
        load_news() if calibration is None else sample_lines(calibration),
        origin=f"{model if path is None else path.name}: {count} of {len(language.layers)} layers",
        tokens=TOKENS if tokens is None else tokens,
        layers=layers,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    folder = CompiledFolder(output)
    folder.write_decoder(program, path, language.fingerprint(), kind=kind)
    _print(program, folder)


def _print(program: DecoderProgram, folder: CompiledFolder) -> None:
    counts = program.counts()
    by_layer = [int(cost.total.total("bootstrap")) for cost in program.costs]
    rows = [
        ("layers", str(len(program.layers))),
        ("tokens", f"{program.max_tokens}, {program.public_tokens} of them public"),
        ("security", program.params.describe_security()),
        ("bootstraps of each layer", " ".join(map(str, by_layer))),
        *((name, f"{count:g}") for name, count in counts.totals().items()),
        ("keys", str(len(counts.key_requests()))),
        ("file", format_bytes(folder.program.stat().st_size)),
        ("fingerprint", program.fingerprint[:32]),
    ]
    Console().print(results_table(program.origin, ("quantity", "value"), rows))

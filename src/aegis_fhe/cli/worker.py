"""`aegis worker`: the workers' half of a job, on files that a client wrote. Holds no secret, sees no text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.observe.progress import Progress
from aegis_fhe.observe.table import format_bytes, format_seconds, results_table
from aegis_fhe.placement.plan import plan_tokens
from aegis_fhe.program.served import ServedProgram
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.executor import share_of
from aegis_fhe.service.ciphertexts_file import load_results, result_digest
from aegis_fhe.service.decoder_file import holds_decoder, open_decoder
from aegis_fhe.service.job import JobFiles, JobReport, run_decoder_job, run_job
from aegis_fhe.service.program_file import load_program


def worker(
    folder: Annotated[Path, typer.Argument(help="Holds program.aegis, keys.aegis, input.aegis.")],
    devices: Annotated[int, typer.Option(min=1, help="Worker processes that share the tokens.")] = 1,
    kernels: Annotated[
        str | None, typer.Option(help="Kernel path, slower than the best one but equal (see aegis doctor).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Evaluate a client's ciphertexts: reads a folder of files, adds results."""
    files = JobFiles.found_in(folder)
    quiet = quiet or as_json
    if holds_decoder(files.program):
        if devices > 1:
            raise CompatibilityError(f"{files.program} is a language model: it runs on one device")
        report, digests, security_bits = _decoder(files, kernels, quiet)
    else:
        report, digests, security_bits = _encoder(files, devices, kernels, quiet)
    if as_json:
        facts = {
            "devices": devices,
            "seconds_by_stage": report.seconds,
            "bytes_between_devices": report.bytes_between_devices,
            "predicted_bytes_between_devices": report.predicted_bytes,
            "peak_memory_bytes": max(report.peak_bytes),
            "security_bits": security_bits,
            "kernels": report.kernels[0],
            "result_digest": digests[0],
            "result_digests": digests,
        }
        typer.echo(json.dumps(facts))
        return
    rows = [(f"{stage}", format_seconds(seconds)) for stage, seconds in report.seconds.items()]
    rows.append(("between devices", format_bytes(report.bytes_between_devices)))
    rows.append(("peak memory of a worker", format_bytes(max(report.peak_bytes))))
    rows += [("result digest", digest[:32]) for digest in digests]
    Console().print(results_table("Workers", ("quantity", "value"), rows))


def _encoder(
    files: JobFiles, devices: int, kernels: str | None, quiet: bool
) -> tuple[JobReport, list[str], float]:
    """The workers' report, a digest of each result, and the parameters' security."""
    program = load_program(files.program).with_kernels(kernels)
    plan = plan_tokens(program, devices)
    work = files.texts * max(share_of(program, plan, rank) for rank in range(devices))
    with Progress(work, quiet=quiet) as bar:
        report = run_job(program, files, devices, on_progress=_to(bar), on_output=_said)
    return report, _digests(program, files, devices), program.params.security_bits


def _decoder(files: JobFiles, kernels: str | None, quiet: bool) -> tuple[JobReport, list[str], float]:
    with open_decoder(files.program) as stored:
        program = stored.with_kernels(kernels)
        with Progress(files.texts * program.counts().ntts(program.params), quiet=quiet) as bar:
            report = run_decoder_job(program, files, on_progress=_to(bar), on_output=_said)
        return report, _digests(program, files, 1), program.params.security_bits


def _digests(program: ServedProgram, files: JobFiles, devices: int) -> list[str]:
    params, results = program.params, files.results(devices)
    return [result_digest(params, load_results(program, paths)) for paths in results]


def _to(bar: Progress) -> Callable[[ProgressEvent], None]:
    return lambda event: bar.report(event.rank, event.stage, event.fraction)


def _said(rank: int, line: str) -> None:
    print(f"worker {rank}: {line}", file=sys.stderr)

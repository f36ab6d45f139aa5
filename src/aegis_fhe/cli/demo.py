"""`aegis demo`: client, keys, workers and result, on a real sentence and real weights."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from aegis_fhe.ckks.keys import half_bytes
from aegis_fhe.ckks.security import STANDARD_BITS
from aegis_fhe.errors import AegisError
from aegis_fhe.models.minilm import TOKENS, compile_first_attention
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.observe.progress import Progress
from aegis_fhe.observe.table import format_bytes, format_seconds, results_table
from aegis_fhe.placement import MemoryEstimate, plan_tokens
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.ring import native
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.executor import share_of
from aegis_fhe.runtime.garbage import no_collection
from aegis_fhe.runtime.launch import LaunchOptions
from aegis_fhe.runtime.memory import peak_bytes
from aegis_fhe.service.client import Client
from aegis_fhe.service.job import require_memory
from aegis_fhe.service.session import SessionResult, run_session

Array = NDArray[np.float64]

TEXT = (
    "The night train left the harbour city an hour late. Between two tunnels an old woman asked the "
    "conductor whether anybody still wrote letters by hand; he laughed, took a folded envelope from his coat "
    "and said that he carried one every week."
)

# Past this, it is not noise: the text left the ranges that the approximations were calibrated for.
APPROXIMATION_LIMIT = 1e-2


def demo(
    text: Annotated[str, typer.Option(help=f"The text, up to {TOKENS} tokens.")] = TEXT,
    devices: Annotated[int, typer.Option(min=1, help="Worker processes that share the tokens.")] = 1,
    model: Annotated[Path | None, typer.Option(help="Folder in Hugging Face format (BERT).")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Sample texts, one per line, for weights without shipped ranges.")
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(help="Reproducible keys and ciphertexts from this word: never for real data."),
    ] = None,
    kernels: Annotated[
        str | None, typer.Option(help="Kernel path, slower than the best one but equal (see aegis doctor).")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the files of the run in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Operation counts too.")] = False,
) -> None:
    """Send a real sentence through an encrypted Transformer sub-layer."""
    start = time.monotonic()
    console = Console(stderr=True, quiet=quiet)
    native.set_threads(LaunchOptions().threads_per_worker)
    samples = _lines(calibration)
    with no_collection():
        encoder = TextEncoder.load(model)
        ids = encoder.token_ids(text)
        program = compile_first_attention(encoder, calibration=samples).with_kernels(kernels)
        program.context(len(ids))
        hidden = encoder.embed(ids)
        reference = encoder.reference(hidden)
        estimates = require_memory(program, devices)
    if keep is not None:
        _make_folder(keep)
    params = program.params
    console.print(
        f"{len(ids)} tokens, {program.origin}; N = 2^{params.log_degree}, log2 QP = {params.log_qp:.0f}, "
        f"security {params.describe_security()}; each of {devices} worker(s) will need "
        f"{format_bytes(max(e.total_bytes for e in estimates))}"
    )
    if params.security_bits < STANDARD_BITS:
        typer.echo("the parameters are INSECURE: anyone can read what is encrypted under them", err=True)
    client = Client(program, seed=None if seed is None else hashlib.sha256(seed.encode()).digest())
    session = _run(program, client, hidden, estimates, keep, quiet or as_json)
    facts = _facts(program, session, hidden, reference, time.monotonic() - start)
    facts["predicted_peak_memory_bytes"] = max(e.total_bytes for e in estimates)
    facts["predicted_peak_memory_bytes_by_worker"] = [e.total_bytes for e in estimates]
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        _print(Console(), program, session, facts, verbose)
    if seed is not None:
        typer.echo(
            "keys were derived from --seed: reproducible, and therefore worthless as secrets", err=True
        )


def _run(
    program: CompiledProgram,
    client: Client,
    hidden: Array,
    estimates: Sequence[MemoryEstimate],
    keep: Path | None,
    quiet: bool,
) -> SessionResult:
    """The session under two progress bars in turn: bytes of keys, then operations weighted by their cost."""
    devices = len(estimates)
    plan = plan_tokens(program, devices)
    key_bytes = sum(half_bytes(program.params, request.level) for request in program.key_requests())
    work = max(share_of(program, plan, rank) for rank in range(devices))
    with ExitStack() as open_bars:
        keys = open_bars.enter_context(Progress(float(key_bytes), quiet=quiet))
        bars = [keys]

        def on_progress(event: ProgressEvent) -> None:
            if bars[-1] is keys:
                open_bars.close()  # one live bar at a time
                bars.append(open_bars.enter_context(Progress(work, quiet=quiet)))
            bars[-1].report(event.rank, event.stage, event.fraction)

        return run_session(
            program,
            client,
            hidden,
            devices=devices,
            estimates=estimates,
            folder=keep,
            advance_keys=keys.advance,
            on_progress=on_progress,
            on_output=lambda rank, line: print(f"worker {rank}: {line}", file=sys.stderr),
        )


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    if not path.is_file():
        raise AegisError(f"{path} is not a file: give a text file with one sample text per line")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AegisError(f"{path} cannot be read as UTF-8 text ({error}): give one sample a line") from error
    return [line for line in text.splitlines() if line.strip()]


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AegisError(f"{path} cannot be a folder for files ({error.strerror}): choose another") from error


def _facts(
    program: CompiledProgram, session: SessionResult, hidden: Array, reference: Array, seconds: float
) -> dict[str, Any]:
    """What the demonstration showed, measured."""
    result, report = session.result.hidden, session.report
    cosine = (result * reference).sum(axis=1) / (
        np.linalg.norm(result, axis=1) * np.linalg.norm(reference, axis=1)
    )
    clear = program.run_clear(hidden)
    return {
        "cosine_min": float(cosine.min()),
        "max_abs_error": float(np.abs(result - reference).max()),
        "max_abs_error_of_approximations": float(np.abs(clear - reference).max()),
        "seconds": round(seconds, 3),
        "seconds_by_step": {name: round(value, 3) for name, value in session.seconds.items()},
        "seconds_by_stage": {name: round(value, 3) for name, value in report.seconds.items()},
        "tokens": len(hidden),
        "devices": len(report.peak_bytes),
        "bytes_between_devices": report.bytes_between_devices,
        "predicted_bytes_between_devices": report.predicted_bytes,
        "peak_memory_bytes": max(*report.peak_bytes, peak_bytes()),
        "peak_memory_bytes_by_worker": report.peak_bytes,
        "peak_memory_bytes_client": peak_bytes(),
        "file_bytes": session.file_bytes,
        "security_bits": program.params.security_bits,
        "parameters": program.params.name,
        "kernels": program.params.ring.path,
        "result_digest": session.result.digest,
    }


def _print(
    console: Console, program: CompiledProgram, session: SessionResult, facts: dict[str, Any], verbose: bool
) -> None:
    """Two tables: what came out, and what it took."""
    rows = [
        ("cosine to PyTorch float32, worst token", f"{facts['cosine_min']:.10f}"),
        ("largest absolute error", f"{facts['max_abs_error']:.2e}"),
        ("of which approximations (clear run)", f"{facts['max_abs_error_of_approximations']:.2e}"),
        ("security", f"{program.params.describe_security()} ({facts['parameters']})"),
        ("between devices, measured", format_bytes(facts["bytes_between_devices"])),
        ("between devices, predicted", format_bytes(facts["predicted_bytes_between_devices"])),
        ("peak memory, client", format_bytes(facts["peak_memory_bytes_client"])),
        *(
            (f"peak memory, worker {rank} (predicted)", f"{format_bytes(peak)} ({format_bytes(predicted)})")
            for rank, (peak, predicted) in enumerate(
                zip(
                    facts["peak_memory_bytes_by_worker"],
                    facts["predicted_peak_memory_bytes_by_worker"],
                    strict=True,
                )
            )
        ),
        *((f"file {name}", format_bytes(size)) for name, size in facts["file_bytes"].items()),
        ("result digest", facts["result_digest"][:32]),
    ]
    console.print(results_table("Clear against decrypted", ("quantity", "value"), rows))
    times = [
        (f"client: {name}", format_seconds(s)) for name, s in session.seconds.items() if name != "workers"
    ]
    times += [(f"worker: {name}", format_seconds(s)) for name, s in session.report.seconds.items()]
    times.append(("everything", format_seconds(facts["seconds"])))
    console.print(results_table("Time", ("step", "seconds"), times))
    if facts["max_abs_error_of_approximations"] > APPROXIMATION_LIMIT:
        console.print(
            "The approximations alone are off by more than "
            f"{APPROXIMATION_LIMIT}: this text lies outside the calibrated ranges, do not use the result."
        )
    if verbose:
        params, requests = program.params, program.key_requests()
        keys = [(r.describe(), r.level, format_bytes(2 * half_bytes(params, r.level))) for r in requests]
        total = sum(2 * half_bytes(params, request.level) for request in requests)
        keys.append((f"all {len(keys)} keys", params.max_level, format_bytes(total)))
        console.print(results_table("Keys, in memory", ("key", "level", "bytes"), keys))
        totals = program.counts().totals()
        console.print(
            results_table("Operations", ("operation", "count"), [(k, f"{v:g}") for k, v in totals.items()])
        )

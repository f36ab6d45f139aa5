"""What the commands that run a program share: checks before the work, bars during it, facts after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from aegis_fhe.ckks.key_shape import half_bytes, parameters_of
from aegis_fhe.cli.seed import seed_key, warn_of_seed
from aegis_fhe.cli.session_bars import print_worker_line, run_under_bars, session_facts, warn_of_security
from aegis_fhe.errors import AegisError
from aegis_fhe.observe.table import format_bytes, format_seconds, results_table
from aegis_fhe.placement.plan import plan_tokens
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.runtime.executor import share_of
from aegis_fhe.runtime.memory import peak_bytes
from aegis_fhe.runtime.memory_estimate import MemoryEstimate
from aegis_fhe.service.client import Client
from aegis_fhe.service.job import require_memory
from aegis_fhe.service.session import SessionResult, run_session

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EncryptedRun:
    """One program on `devices` workers of this machine, after its checks."""

    program: CompiledProgram
    estimates: Sequence[MemoryEstimate]
    keep: Path | None
    quiet: bool

    @classmethod
    def prepare(
        cls, program: CompiledProgram, devices: int, texts: Sequence[Array], *, keep: Path | None, quiet: bool
    ) -> EncryptedRun:
        """Raises RangeError for a text too long, CapacityError; makes the folder for what is kept."""
        for hidden in texts:
            program.context(len(hidden))
        estimates = require_memory(program, devices)
        if keep is not None:
            make_folder(keep)
        return cls(program, estimates, keep, quiet)

    def announce(self, console: Console, tokens: Sequence[int]) -> None:
        """One line before the work, and a warning where there is no security."""
        params, lengths = self.program.params, " + ".join(map(str, tokens))
        needed = format_bytes(max(e.total_bytes for e in self.estimates))
        console.print(
            f"{lengths} tokens, {self.program.origin}; N = 2^{params.log_degree}, log2 QP = "
            f"{params.log_qp:.0f}, security {params.describe_security()}; each of {len(self.estimates)} "
            f"worker(s) will need {needed}"
        )
        warn_of_security(params)

    def run(self, texts: Sequence[Array], seed: str | None) -> SessionResult:
        """The session under two progress bars in turn: bytes of keys, then operations by their cost."""
        program, devices = self.program, len(self.estimates)
        client = Client(program, seed=seed_key(seed))
        plan = plan_tokens(program, devices)
        session = run_under_bars(
            program.params,
            program.key_requests(),
            max(share_of(program, plan, rank) for rank in range(devices)),
            lambda advance_keys, on_progress: run_session(
                program,
                client,
                texts,
                devices=devices,
                estimates=self.estimates,
                folder=self.keep,
                advance_keys=advance_keys,
                on_progress=on_progress,
                on_output=print_worker_line,
            ),
            quiet=self.quiet,
        )
        warn_of_seed(seed)
        return session

    def facts(self, session: SessionResult) -> dict[str, Any]:
        """What the run took, and what was predicted."""
        report = session.report
        predicted = [e.total_bytes for e in self.estimates]
        # Keys are made once, loading is done once: what a further text takes is what the workers compute.
        computed = sum(seconds for stage, seconds in report.seconds.items() if stage != "load")
        return {
            "seconds_per_text": round(computed / len(session.results), 3),
            "texts_per_hour": round(3600 * len(session.results) / computed, 1),
            "devices": len(report.peak_bytes),
            "bytes_between_devices": report.bytes_between_devices,
            "predicted_bytes_between_devices": report.predicted_bytes,
            "peak_memory_bytes": max(*report.peak_bytes, peak_bytes()),
            "predicted_peak_memory_bytes": max(predicted),
            "predicted_peak_memory_bytes_by_worker": predicted,
            "security_bits": self.program.params.security_bits,
            "parameters": self.program.params.name,
            "kernels": report.kernels[0],
            "result_digest": session.result.digest,
            **session_facts(session),
        }

    def print_facts(self, console: Console, facts: dict[str, Any], rows: Sequence[tuple[str, str]]) -> None:
        """Two tables: what came out (`rows` first), and what it took."""
        peaks = zip(
            facts["peak_memory_bytes_by_worker"], facts["predicted_peak_memory_bytes_by_worker"], strict=True
        )
        listed = [
            *rows,
            ("security", f"{self.program.params.describe_security()} ({facts['parameters']})"),
            ("between devices, measured", format_bytes(facts["bytes_between_devices"])),
            ("between devices, predicted", format_bytes(facts["predicted_bytes_between_devices"])),
            ("peak memory, client", format_bytes(facts["peak_memory_bytes_client"])),
            *(
                (f"peak memory, worker {rank} (predicted)", f"{format_bytes(peak)} ({format_bytes(guess)})")
                for rank, (peak, guess) in enumerate(peaks)
            ),
            *((f"file {name}", format_bytes(size)) for name, size in facts["file_bytes"].items()),
            *(("result digest", digest[:32]) for digest in facts["result_digests"]),
        ]
        console.print(results_table("Result", ("quantity", "value"), listed))
        steps = facts["seconds_by_step"].items()
        times = [(f"client: {name}", format_seconds(s)) for name, s in steps if name != "workers"]
        times += [(f"worker: {name}", format_seconds(s)) for name, s in facts["seconds_by_stage"].items()]
        times.append(("worker: a text", format_seconds(facts["seconds_per_text"])))
        times.append(("everything", format_seconds(facts["seconds"])))
        console.print(results_table("Time", ("step", "seconds"), times))

    def print_costs(self, console: Console) -> None:
        """Two more tables: keys and operations."""
        params, requests = self.program.params, self.program.key_requests()
        sizes = [2 * half_bytes(parameters_of(params, r), r.level) for r in requests]
        keys = [(r.describe(), r.level, format_bytes(b)) for r, b in zip(requests, sizes, strict=True)]
        keys.append((f"all {len(keys)} keys", params.max_level, format_bytes(sum(sizes))))
        console.print(results_table("Keys, in memory", ("key", "level", "bytes"), keys))
        totals = [(name, f"{count:g}") for name, count in self.program.counts().totals().items()]
        console.print(results_table("Operations of one text", ("operation", "count"), totals))


def make_folder(path: Path) -> None:
    """For what is kept, with its parents. Raises AegisError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AegisError(f"{path} cannot be a folder for files ({error.strerror}): choose another") from error

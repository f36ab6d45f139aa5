"""The worker process: reads program, keys and ciphertexts, computes its share, writes results.

Knows no secret.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from aegis_fhe.runtime.garbage import no_collection
from aegis_fhe.runtime.worker import WorkerContext, run_worker

if TYPE_CHECKING:
    from aegis_fhe.ckks.parameters import Parameters
    from aegis_fhe.runtime.collectives import Communicator

FORBIDDEN = ("aegis_fhe.ckks.secret", "aegis_fhe.service.client")


class WorkerConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Files of a job, and the kernels it runs on; a worker of rank r writes results[i][r] for inputs[i]."""

    program: str
    keys: str
    inputs: list[str]
    results: list[list[str]]
    kernels: str


def work(context: WorkerContext) -> Any:
    """One worker's share of a job. Returns its seconds by stage and its ledger."""
    import time

    with no_collection():
        from aegis_fhe.ckks.evaluator import Evaluator
        from aegis_fhe.placement.plan import plan_tokens
        from aegis_fhe.ring import native
        from aegis_fhe.runtime.executor import execute, share_of
        from aegis_fhe.service.ciphertexts_file import load_input, save_results
        from aegis_fhe.service.keys_file import load_keys
        from aegis_fhe.service.program_file import load_program

    config = msgspec.convert(context.config, WorkerConfig)
    communicator = context.connect(config.kernels)
    native.set_threads(context.threads)
    start = time.monotonic()
    context.report("load", 0.0)
    with no_collection():
        program = load_program(Path(config.program)).with_kernels(context.kernels)
        plan = plan_tokens(program, context.world_size)
    jobs = [load_input(program, Path(path)) for path in config.inputs]
    keys = load_keys(
        program.params,
        program.key_requests(),
        Path(config.keys),
        sparse_weight=0 if program.bootstrap is None else program.bootstrap.weight,
    )
    evaluator = Evaluator(program.params, keys)
    seconds = {"load": time.monotonic() - start}
    progress = context.progress(share_of(program, plan, context.rank) * len(jobs))
    for index, job in enumerate(jobs):
        mine = {
            name: job.blocks[name].expand(program.params)
            for block, name in enumerate(program.input_names())
            if plan.owner[block] == context.rank
        }
        execution = execute(
            program,
            plan,
            communicator,
            evaluator,
            mine,
            tokens=job.facts.tokens,
            runs=index + 1,
            advance=progress.advance,
        )
        save_results(job.facts, execution.results, Path(config.results[index][context.rank]))
        for stage, spent in execution.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    predicted = plan.received_bytes(context.rank) * len(jobs)
    return report(program.params, communicator, seconds, predicted)


def report(
    params: Parameters,
    communicator: Communicator,
    seconds: Mapping[str, float],
    predicted: Sequence[tuple[str, int]],
) -> dict[str, Any]:
    """What a worker says of its work: seconds by stage, its ledger, (stage, bytes) as planned."""
    return {
        "seconds": seconds,
        "ledger": communicator.ledger.to_json(),
        "predicted": predicted,
        "kernels": params.ring.path,
        "secret_modules": sorted(name for name in sys.modules if name.startswith(FORBIDDEN)),
    }


if __name__ == "__main__":
    run_worker(work, forbidden=FORBIDDEN)

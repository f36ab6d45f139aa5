"""A worker for the tests: one device's share of the circuit, its ledger and what was predicted of it."""

from __future__ import annotations

from typing import Any

from aegis_fhe.runtime.worker import WorkerContext, run_worker


def body(context: WorkerContext) -> Any:
    from cases import Case, digest

    from aegis_fhe.ring import native

    communicator = context.connect()
    native.set_threads(1)
    case = Case.of(2, strided=context.config["strided"])
    placement = case.placement(context.world_size, **context.config["choices"])
    made = case.sharded(placement, communicator)
    return {
        "digests": [digest(x.parts) for x in made],
        "ledger": [[*key, count] for key, count in communicator.ledger.by_collective().items()],
    }


if __name__ == "__main__":
    run_worker(body)

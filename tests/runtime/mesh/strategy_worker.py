"""A worker for the tests: one device's share of a layer in every strategy's rendering, from fixed seeds."""

from __future__ import annotations

from typing import Any

from aegis_fhe.runtime.worker import WorkerContext, run_worker


def body(context: WorkerContext) -> Any:
    world = context.connect()

    from aegis_fhe.runtime.mesh import connect_mesh
    from runtime.mesh.cases import digest
    from runtime.mesh.rendered import case_of, over_processes

    found = {}
    for strategy, rendering in over_processes().items():
        communicators = connect_mesh(world, rendering.mesh)
        execution = case_of(rendering).share(communicators)
        world.barrier(strategy)
        found[strategy] = {
            "digests": {name: digest(x) for name, x in execution.results.items()},
            "received": [[*key, count] for key, count in communicators.received().items()],
        }
    return found


if __name__ == "__main__":
    run_worker(body)

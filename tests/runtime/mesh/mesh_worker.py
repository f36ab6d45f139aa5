"""A worker for the tests: one device of a mesh, everything from fixed seeds."""

from __future__ import annotations

from typing import Any

from aegis_fhe.runtime.worker import WorkerContext, run_worker


def body(context: WorkerContext) -> Any:
    communicator = context.connect()

    from aegis_fhe.placement.mesh import Mesh
    from aegis_fhe.runtime.mesh import connect_mesh
    from runtime.mesh.cases import digest, exchanged, random_case

    mesh = Mesh(**context.config["mesh"])
    case = random_case(mesh, context.config["seed"], context.config["teams"])
    communicators = connect_mesh(communicator, mesh, host_memory=context.config.get("host_memory", False))
    execution = case.share(communicators)
    communicator.barrier("end")
    return {
        "digests": {name: digest(x) for name, x in execution.results.items()},
        "received": [[*key, count] for key, count in communicators.received().items()],
        "exchanged": exchanged(communicators),
        "held": execution.held.by_kind(),
    }


if __name__ == "__main__":
    run_worker(body)

"""A rank of a plan's job, started by torch elastic: the job's folder is its only argument.

    torchrun --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d --rdzv-endpoint HOST:PORT --max-restarts 3 \
        -m aegis_fhe.service.plan_elastic FOLDER

Every rank goes on from the newest checkpoint that all of them have in the folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from aegis_fhe.runtime.elastic_worker import run_elastic_worker
from aegis_fhe.runtime.events import DoneEvent, Order
from aegis_fhe.service.plan_folder import PlanFolder, write_whole
from aegis_fhe.service.plan_worker import work
from aegis_fhe.service.worker import FORBIDDEN


def order_of(folder: PlanFolder) -> Order:
    """This rank's, from the folder and from what torch elastic says in its environment.

    Raises ContainerError, CompatibilityError.
    """
    options, world_size = folder.options(), int(os.environ["WORLD_SIZE"])
    options.require_world(world_size)
    start = f"{os.environ['TORCHELASTIC_RUN_ID']}-{os.environ['TORCHELASTIC_RESTART_COUNT']}"
    return Order(
        rank=int(os.environ["RANK"]),
        world_size=world_size,
        local_rank=int(os.environ["LOCAL_RANK"]),
        local_size=int(os.environ["LOCAL_WORLD_SIZE"]),
        threads=options.threads,
        rendezvous=f"file://{folder.meeting(start)}" if options.one_host else "env://",
        collective_timeout_s=options.timeout_s,
        config=folder.config(options),
    )


def main() -> None:
    """The whole process."""
    folder = PlanFolder(Path(sys.argv[1]).resolve())

    def done(event: DoneEvent) -> None:
        write_whole(folder.report(event.rank), msgspec.json.encode(event))

    run_elastic_worker(lambda: order_of(folder), work, done, forbidden=FORBIDDEN)


if __name__ == "__main__":
    main()

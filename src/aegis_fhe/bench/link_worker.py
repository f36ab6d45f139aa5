"""One end of the link that `link_calibration` measures: messages both ways at the same time, timed."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from aegis_fhe.runtime.transfers import ITEM_BYTES, Transfer
from aegis_fhe.runtime.worker import WorkerContext, run_worker


class LinkConfig(msgspec.Struct, forbid_unknown_fields=True):
    """message_bytes: sizes, multiples of 8; rounds: timed exchanges of each."""

    message_bytes: list[int]
    rounds: int


def work(context: WorkerContext) -> Any:
    """Of each size the seconds of every round but the first, which finds other memory in the caches."""
    config = msgspec.convert(context.config, LinkConfig)
    world = context.connect()
    world.use_host_memory()
    import torch

    found = []
    for size in config.message_bytes:
        shape = (size // ITEM_BYTES,)
        own = torch.arange(shape[0], dtype=torch.int64)
        transfers = [Transfer(index=rank, source=rank, destination=1 - rank, shape=shape) for rank in (0, 1)]
        seconds = []
        for _ in range(config.rounds + 1):
            world.barrier("link")
            start = time.perf_counter()
            world.start_exchange("link", {context.rank: own}, transfers).wait()
            seconds.append(time.perf_counter() - start)
        found.append(seconds[1:])
    return found


if __name__ == "__main__":
    run_worker(work)

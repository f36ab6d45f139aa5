"""Two parts of four ranks in lanes, over sockets: every rank sends all first, then asks for what it gets."""

from __future__ import annotations

from typing import Any

from aegis_fhe.runtime.worker import WorkerContext, run_worker


def body(context: WorkerContext) -> Any:
    import torch

    from aegis_fhe.runtime import collectives
    from aegis_fhe.runtime.transfers import Transfer

    collectives.in_lanes = lambda device: True
    world = context.connect()
    found = {}
    for axis, groups in {"near": [[0, 1], [2, 3]], "far": [[0, 2], [1, 3]], "all": [range(4)]}.items():
        mine = next(list(one) for one in groups if context.rank in one)
        part = world.part(groups, mine.index(context.rank), axis)
        others = [rank for rank in range(part.world_size) if rank != part.rank]
        sent, received = [], []
        for peer in others:  # each its own message, in another order on every rank
            own = {0: torch.full((9,), world.rank)}
            plan = [Transfer(index=0, source=part.rank, destination=peer, shape=(9,))]
            sent.append(part.start_exchange("out", own, plan))
        for peer in reversed(others):
            plan = [Transfer(index=0, source=peer, destination=part.rank, shape=(9,))]
            received.append((peer, part.start_exchange("in", {}, plan)))
        found[axis] = {mine[peer]: int(one.wait()[0][8]) for peer, one in received}
        for one in sent:
            one.wait()
        assert part._group is None
    world.barrier("end")
    return found


if __name__ == "__main__":
    run_worker(body)

"""A small worker for the tests: moves blocks between ranks, or fails in the way it is told to."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from aegis_fhe.errors import MissingKeyError
from aegis_fhe.runtime.worker import WorkerContext, run_worker

FORBIDDEN = ["aegis_fhe.ckks.secret"]


def body(context: WorkerContext) -> Any:
    context.report("start", 0.0, str(os.getpid()))
    if context.config["mode"] == "exchange":
        return exchange(context)
    if context.config["mode"] == "forbidden":
        import aegis_fhe.ckks.secret

        return aegis_fhe.ckks.secret.__name__
    if context.config["mode"] == "large":
        return large(context)
    if context.config["mode"] == "hosts":
        return hosts(context)
    if context.config["mode"] == "kill":
        communicator = context.connect()
        if context.config.get("memory"):
            assert communicator.use_host_memory()
        communicator.barrier("together")
        if context.rank == context.config["rank"]:
            os.kill(os.getpid(), signal.Signals[context.config.get("signal", "SIGKILL")])
        communicator.barrier("alone")  # fails here, and usually says so before the parent sees the death
    if context.rank == context.config.get("rank", 0):
        match context.config["mode"]:
            case "raise":
                raise MissingKeyError("no key for step 7\nat level 3")
            case "bug":
                return {}["absent"]
            case "exit":
                print("I am leaving", file=sys.stderr)
                os._exit(7)
    time.sleep(60)
    return None


def large(context: WorkerContext) -> Any:
    """Blocks several times as long as a ring, both ways, posted before anyone waits, among small ones."""
    import torch

    from aegis_fhe.runtime.host_memory import RING_BYTES
    from aegis_fhe.runtime.transfers import Transfer

    communicator = context.connect()
    before = socket_threads()
    assert communicator.use_host_memory()
    rank, words = context.rank, [3, 3 * RING_BYTES // 8 + 5, 1, RING_BYTES // 8, 7]
    blocks = {i: torch.arange(n, dtype=torch.int64) * (i + 1) for i, n in enumerate(words)}
    started = []
    for _ in range(2):
        for i in blocks:
            transfers = [Transfer(index=i, source=s, destination=1 - s, shape=(words[i],)) for s in (0, 1)]
            started.append((i, communicator.start_exchange("large", {i: blocks[i] + rank}, transfers)))
    exact = all(torch.equal(one.wait()[i], blocks[i] + 1 - rank) for i, one in reversed(started))
    communicator.barrier("end")
    return {"exact": exact, "socket_threads": [before, socket_threads()]}


def socket_threads() -> int:
    """Threads of gloo in this process: each looks for messages 100 times a second."""
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    return sum(name.startswith("gloo") for name in names)


def hosts(context: WorkerContext) -> Any:
    """Four ranks which take themselves for those of two hosts, in pairs of one host and in pairs across."""
    import torch

    from aegis_fhe.runtime import host_memory

    rank = context.rank
    host_memory._host = lambda: f"host {rank // 2}"
    world = context.connect()
    near = world.part([[0, 1], [2, 3]], rank % 2, "near", host_memory=True)
    far = world.part([[0, 2], [1, 3]], rank // 2, "far", host_memory=True)
    found = {"near": near._host is not None, "far": far._host is not None, "world": world.use_host_memory()}
    for name, one in (("near", near), ("far", far), ("world", world)):
        own = {one.rank: torch.full((5,), rank)}
        got = one.all_gather_blocks(name, own, range(one.world_size), (5,))
        found[f"from {name}"] = [int(got[i][4]) for i in range(one.world_size)]
    return found


def exchange(context: WorkerContext) -> Any:
    import torch

    from aegis_fhe.runtime import collectives
    from aegis_fhe.runtime.transfers import Transfer, all_gather_transfers, predicted_bytes

    print("noise on standard output")
    if context.config.get("lanes"):
        collectives.in_lanes = lambda device: True
    communicator = context.connect()
    if context.config.get("memory"):
        assert communicator.use_host_memory() == (context.world_size > 1)
    rank, world = context.rank, context.world_size
    shape = (2, 3, 64)
    blocks = {i: (torch.arange(384).reshape(shape) << 40) + i * 1_000_003 for i in range(7)}
    owner_of = [(i * i) % world for i in range(7)]  # uneven
    own = {i: blocks[i] for i in blocks if owner_of[i] == rank}
    everything = communicator.all_gather_blocks("kv", own, owner_of, shape)
    # Each even block goes one rank further; two exchanges are under way at once.
    ring = [
        Transfer(index=i, source=owner_of[i], destination=(owner_of[i] + 1) % world, shape=shape)
        for i in range(0, 7, 2)
    ]
    first = communicator.start_exchange("ring", own, ring)
    second = communicator.start_exchange("ring", own, ring)
    got, again = first.wait(), second.wait()
    assert all(torch.equal(got[i], again[i]) for i in got)
    weight = communicator.broadcast("weight", blocks[5] if rank == world - 1 else None, world - 1, shape)
    names = communicator.gather_objects("names", {"rank": rank, "text": "x" * (1 + 100 * rank)})
    communicator.barrier("end")
    sink = context.progress(2.0)
    sink.advance("half", 1.0)
    sink.advance("whole", 1.0)
    predicted = [
        ("kv", predicted_bytes(all_gather_transfers(owner_of, shape, world), rank)),
        ("ring", 2 * predicted_bytes(ring, rank)),
        ("weight", 0 if rank == world - 1 else 384 * 8),
    ]
    communicator.ledger.check(predicted)
    return {
        "digest": hashlib.sha256(b"".join(everything[i].numpy().tobytes() for i in range(7))).hexdigest(),
        "order": list(everything),
        "exact": all(torch.equal(everything[i], blocks[i]) for i in blocks)
        and all(torch.equal(got[i], blocks[i]) for i in got)
        and torch.equal(weight, blocks[5]),
        "ring": list(got),
        "names": [name["rank"] * 1000 + len(name["text"]) for name in names],
        "predicted": predicted,
        "ledger": communicator.ledger.to_json(),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    run_worker(body, forbidden=FORBIDDEN)

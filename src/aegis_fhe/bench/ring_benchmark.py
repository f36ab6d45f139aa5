"""`aegis bench ring`: every operation of ring and scheme, ours and a peer's in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from aegis_fhe.bench.gpu_operations import GpuOperations
from aegis_fhe.bench.kernel_operations import KernelOperations, PortablePeer
from aegis_fhe.bench.peer import Peer, Unsupported
from aegis_fhe.bench.result_rows import Row
from aegis_fhe.bench.ring_table import KERNELS, ONE_LIMB
from aegis_fhe.bench.scheme_operations import SchemeOperations
from aegis_fhe.bench.timing import SETTLE_S, alternate, milliseconds, quantiles, run_count
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import PeerError
from aegis_fhe.ring import native


def measure_ring(
    params: Parameters,
    peer: Peer | None,
    *,
    operations: Sequence[str],
    threads: int,
    runs: int,
) -> Iterator[Row]:
    """One row for each operation, as soon as it is measured; `runs` runs at least, more of short ones.

    Operations of the ring meet the portable path, but for a GPU's; those of the scheme meet `peer`. Ours
    uses `threads` threads; the peer has been started with as many. Raises PeerError when the peer fails.
    """
    off_host = native.off_host(params.ring.path)
    portable = PortablePeer(params) if set(operations) & set(KERNELS) and not off_host else None
    scheme = SchemeOperations(params)
    ours: dict[str, Callable[[], object]] = {
        **KernelOperations(params, params.ring).operations(),
        **scheme.operations(),
        **GpuOperations(params, scheme).operations(),
    }
    for operation in operations:
        other = portable if operation in KERNELS else peer
        with threads_set(threads):
            yield _measure(params, operation, ours[operation], other, threads, runs)


@contextmanager
def threads_set(count: int) -> Iterator[None]:
    """`count` threads for the kernels and for torch, and what was set before afterwards."""
    before = native.get_threads(), torch.get_num_threads()
    try:
        native.set_threads(count)
        torch.set_num_threads(count)
        yield
    finally:
        native.set_threads(before[0])
        torch.set_num_threads(before[1])


def _measure(
    params: Parameters,
    operation: str,
    ours: Callable[[], object],
    peer: Peer | None,
    threads: int,
    runs: int,
) -> Row:
    device = params.ring.device
    milliseconds(ours, device)  # makes what the operation needs
    theirs = _their_run(peer, operation)
    count = run_count(milliseconds(ours, device), runs)
    settle_s = SETTLE_S if threads > 1 else 0.0
    our_ms, their_ms = alternate(lambda: milliseconds(ours, device), theirs, count, settle_s=settle_s)
    single = operation in ONE_LIMB
    return Row.of(
        operation,
        log_n=params.log_degree,
        limbs=1 if single else len(params.q),
        special_limbs=0 if single else len(params.p),
        dnum=len(params.digits(params.max_level)),
        threads=threads,
        ours_ms=quantiles(our_ms),
        peer=peer.facts.name if peer is not None else None,
        peer_ms=quantiles(their_ms) if their_ms else None,
    )


def _their_run(peer: Peer | None, operation: str) -> Callable[[], float] | None:
    """The peer's measurement, warmed up; None where it has no such operation."""
    if peer is None or isinstance(peer.measure(operation), Unsupported):
        return None

    def run() -> float:
        answer = peer.measure(operation)
        if isinstance(answer, Unsupported):
            raise PeerError(f"{peer.facts.name} did {operation} once and then refused: {answer.reason}")
        return answer

    return run

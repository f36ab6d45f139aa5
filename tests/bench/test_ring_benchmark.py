"""Every operation becomes a row, with its peer or without; a peer that fails ends the benchmark."""

import pytest
import torch

from aegis_fhe.bench.kernel_operations import PORTABLE_NAME
from aegis_fhe.bench.peer import Unsupported
from aegis_fhe.bench.ring_benchmark import measure_ring, threads_set
from aegis_fhe.bench.ring_table import (
    KERNELS,
    NOTES,
    ONE_LIMB,
    OPERATIONS,
    PARAMETERS,
    choose_operations,
    parameters_of,
)
from aegis_fhe.ckks import presets
from aegis_fhe.errors import ParameterError, PeerError
from aegis_fhe.ring import native

from .stand_ins import StandInPeer

PARAMS = presets.insecure(6, 3, 2)


def measure(peer, operations=OPERATIONS, runs=1):
    return list(measure_ring(PARAMS, peer, operations=operations, threads=1, runs=runs))


def test_every_operation_has_a_row_in_order_with_its_peer():
    peer = StandInPeer({"rotate": 5.0, "add": 3.0})
    rows = measure(peer)
    assert [row.operation for row in rows] == list(OPERATIONS)
    for row in rows:
        expected = PORTABLE_NAME if row.operation in KERNELS else None
        assert row.peer == ("Stand-in 1" if row.operation in peer.ms else expected)
        assert (row.limbs, row.special_limbs) == ((1, 0) if row.operation in ONE_LIMB else (4, 2))
        assert (row.log_n, row.dnum, row.threads) == (6, 2, 1)
        assert 0 < row.ours_ms.min <= row.ours_ms.median <= row.ours_ms.p90
    rotate = next(row for row in rows if row.operation == "rotate")
    assert rotate.peer_ms.median == 5.0
    assert rotate.ratio == 5.0 / rotate.ours_ms.median


def test_the_peer_is_warmed_up_once_and_then_runs_as_often_as_ours():
    peer = StandInPeer({"rotate": 5.0})
    measure(peer, ["rotate", "encode"], runs=300)
    assert peer.asked == ["rotate"] * 301 + ["encode"]


def test_without_a_peer_the_scheme_has_none_and_the_ring_keeps_its_own():
    assert [row.peer for row in measure(None, ["ntt", "rotate"])] == [PORTABLE_NAME, None]


def test_a_peer_that_fails_or_changes_its_mind_ends_the_benchmark():
    class Fickle(StandInPeer):
        def measure(self, operation):
            first = not self.asked
            answer = super().measure(operation)
            return answer if first else Unsupported("no more")

    with pytest.raises(PeerError, match="no more"):
        measure(Fickle({"add": 1.0}), ["add"])


def measure_with_threads(count):
    class Broken(StandInPeer):
        def measure(self, operation):
            assert native.get_threads() == count
            raise PeerError("broken")

    list(measure_ring(PARAMS, Broken({}), operations=["add"], threads=count, runs=1))


def test_threads_are_set_for_the_run_and_restored_after_it():
    before = native.get_threads(), torch.get_num_threads()
    with threads_set(before[0] + 1):
        assert (native.get_threads(), torch.get_num_threads()) == (before[0] + 1, before[0] + 1)
    assert (native.get_threads(), torch.get_num_threads()) == before
    with pytest.raises(PeerError, match="broken"):
        measure_with_threads(before[0] + 1)
    assert (native.get_threads(), torch.get_num_threads()) == before


def test_the_parameters_are_those_that_are_promised():
    for log_n, levels, limbs, special in ((16, 24, 25, 8), (15, 13, 14, 5)):
        params = parameters_of(log_n)
        assert (params.log_degree, params.max_level, len(params.q), len(params.p)) == (
            log_n,
            levels,
            limbs,
            special,
        )
        assert len(params.digits(levels)) == 3
        assert params.security_bits == 128
    assert sorted(PARAMETERS) == [15, 16]
    with pytest.raises(ParameterError, match=r"14.*15, 16"):
        parameters_of(14)


def test_operations_are_chosen_by_name():
    assert choose_operations(None) == OPERATIONS
    assert choose_operations("rotate, product + relinearise") == ["product + relinearise", "rotate"]
    with pytest.raises(ParameterError, match=r"'spin'.*rescale"):
        choose_operations("rotate,spin")
    with pytest.raises(ParameterError, match="''"):
        choose_operations("")


def test_notes_are_about_operations():
    assert set(NOTES) <= set(choose_operations(None, gpu=True))

"""Operations: kernels counted by hand, totals as sums, and what is asked for wrongly."""

from __future__ import annotations

import msgspec
import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.presets import insecure
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.cost import Chain, KernelCounts, OperationCosts, load_device
from aegis_fhe.placement.coupling.operations import PASSING
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.plaintext_counts import PlaintextCounts, bootstrap_counts, chain_of

N = 1 << 16
CHAIN = Chain.in_runs(N, 5, 2, 2)  # digits (0, 1), (2, 3), (4)
H100 = load_device("h100")
COSTS = OperationCosts(CHAIN, H100)


def test_a_hoisted_rotation_by_hand():
    """Level 3: four limbs, two special ones, two digits of two limbs."""
    assert COSTS.kernels("mod up", 3) == KernelCounts(
        inverse_ntt=4, ntt=8, conversion_product=2 * 2 * 4, conversion_row=2 * (2 + 4), memory_rows=4 + 8
    )
    assert COSTS.kernels("rotation", 3) == KernelCounts(
        key_product=2 * 2 * 6,
        key_row=2 * 6,
        joined=4,
        inverse_ntt=2 * 2,
        conversion_product=2 * 2 * 4,
        conversion_row=2 * (2 + 4),
        ntt=2 * 4,
        quotient=2 * 4,
        automorphism=2 * 4,
        # digits, both halves, c_0, result; both components in, quotient out
        memory_rows=2 * 6 + 2 * 2 * 6 + 4 + 2 * 6 + 2 * 6 + 2 * 4,
    )


def test_steps_make_up_a_key_switch():
    for level in range(5):
        parts = [COSTS.kernels(name, level) for name in ("mod up", "rotation")]
        whole, rows = COSTS.kernels("key switch", level), level + 1
        assert parts[0] + parts[1] + KernelCounts(joined=rows, memory_rows=rows) == whole + KernelCounts(
            automorphism=2 * rows
        )


def test_element_wise_operations_by_hand():
    assert COSTS.kernels("add", 4) == KernelCounts(addition=10, memory_rows=30)
    assert COSTS.kernels("addend", 4) == KernelCounts(addition=10, memory_rows=10)
    assert COSTS.kernels("scalar product", 4) == KernelCounts(product=10, memory_rows=20)
    assert COSTS.kernels("scalar term", 4) == KernelCounts(combined_product=10, memory_rows=10)
    assert COSTS.kernels("scalar row", 4) == KernelCounts(combined_row=10, memory_rows=10)
    assert COSTS.kernels("rescale", 4) == KernelCounts(inverse_ntt=2, ntt=8, rescaled=8, memory_rows=18)
    assert COSTS.kernels("product", 4) == KernelCounts(tensor_product=20)
    assert COSTS.kernels("product row", 4) == KernelCounts(tensor_row=10, memory_rows=10)
    assert COSTS.kernels("bootstrap", 4).transforms == 2 + 2 * 5
    assert COSTS.kernels("key expansion", 4) == KernelCounts(uniform=3 * 7, memory_rows=3 * 7)


def test_plaintexts_cost_by_their_period():
    """A period of 2^6 slots: 2^7 points of 2^16, 7 stages of 16."""
    periodic = OperationCosts(CHAIN, H100, period=64)
    length = 2**7 * 7 / (2**16 * 16)
    assert periodic.kernels("plain product", 4) == KernelCounts(
        periodic_product=10, ntt=5 * length, embedding=length
    )
    assert periodic.kernels("plain row", 4) == KernelCounts(periodic_row=10, memory_rows=10)
    dense = OperationCosts(CHAIN, H100)
    assert dense.kernels("plain product", 4) == KernelCounts(
        key_product=10, ntt=5, embedding=1, memory_rows=5
    )
    ready = OperationCosts(CHAIN, H100, encoded=True)
    assert ready.kernels("plain product", 4) == KernelCounts(key_product=10, memory_rows=5)
    assert ready.kernels("plain add", 4) == KernelCounts(addition=5, memory_rows=20)


def test_totals_are_sums():
    counts = OperationCounts()
    counts.key_switch("relin", 3)
    counts.add("add", 2, 2.5)
    total = COSTS.kernels("key switch", 3) + COSTS.kernels("add", 2) * 2.5
    assert COSTS.total_kernels(counts.by_level) == total
    expected = COSTS.seconds("key switch", 3) + 2.5 * COSTS.seconds("add", 2)
    assert COSTS.total_seconds(counts.by_level) == pytest.approx(expected)


def test_the_slowest_device_decides():
    """Five limbs on two devices: three on the first."""
    place = LimbPlacement(world_size=2, limbs=5, specials=2, placed="split")
    shared = OperationCosts(CHAIN, H100, place)
    each = [H100.seconds(shared.kernels("add", 4, rank), N) for rank in range(2)]
    assert each[0] > each[1] > 0
    assert shared.seconds("add", 4) == each[0]


@pytest.mark.parametrize(
    "name", ["mod up", "rotation", "key switch", "rescale", "product", "add", "plain product"]
)
def test_time_falls_with_devices_and_grows_with_levels(name):
    chain = Chain.strided(N, 24, 8, 8)
    seconds = [
        OperationCosts(
            chain, H100, LimbPlacement(world_size=world, limbs=24, specials=8, placed="split")
        ).seconds(name, 23)
        for world in range(1, 9)
    ]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[-1] < seconds[0]
    alone = OperationCosts(chain, H100)
    growing = [alone.seconds(name, level) for level in range(1, 24)]
    assert growing == sorted(growing)


def test_every_counted_operation_has_a_price():
    """What a bootstrap counts, with its plaintexts by period, is all there and nothing twice."""
    plan = presets.insecure(9)
    found = bootstrap_counts(plan)
    merged: dict[tuple[str, int], float] = {}
    for counts in found.by_period.values():
        for key, times in counts.items():
            merged[key] = merged.get(key, 0) + times
    rows = {key for key in merged if key[0] in PASSING}
    assert {key: times for key, times in merged.items() if key not in rows} == plan.counts.by_level
    assert {name for name, _ in rows} == PASSING
    assert found.seconds(H100) > found.seconds(H100, encoded=True) > 0


def test_operands_are_counted_once():
    """Two columns used and two rows; a result of a product has three components; factors of a matrix once."""
    params = insecure(6, 3, 2)
    backend = PlaintextCounts(params)
    x = Symbol(2, params.scale)
    v = SlotVector.of([1.0, 2.0])
    backend.mul_plain_sums([x, x, x], [[v, None, v], [v, None, None]], params.scale)
    backend.mul_plain(x, SlotVector.of([1.0]), params.scale)
    assert backend.by_period[2] == {("plain product", 2): 3}
    assert backend.by_period[1] == {("plain product", 2): 1, ("plain row", 2): 4 + 2, ("call", 2): 2}
    backend = PlaintextCounts(params)
    backend.multiply_sum([x, x], [x, x])
    assert backend.by_period[1] == {("product", 2): 2, ("product row", 2): 4 + 1.5, ("call", 2): 1}
    backend = PlaintextCounts(params)
    backend.multiply_matrix([[x] * 5] * 2, [[x] * 3] * 5)
    assert backend.by_period[1] == {
        ("product", 2): 30,
        ("product row", 2): 10 + 15 + 1.5 * 6,
        ("call", 2): 1,
    }
    assert chain_of(params) == Chain.in_runs(64, 4, len(params.p), 2)


def test_the_interpreter_takes_as_long_whatever_the_rows():
    device = msgspec.structs.replace(H100, operation_seconds=1e-3)
    costs, kernels = OperationCosts(CHAIN, device), OperationCosts(CHAIN, H100)
    for name in ("key switch", "rotation", "add", "call"):
        for level in (1, 4):
            assert costs.seconds(name, level) == pytest.approx(1e-3 + kernels.seconds(name, level)), name
    for name in ("addend", "product row", "scalar term", "plain product"):
        assert costs.seconds(name, 4) == kernels.seconds(name, 4), name
    assert kernels.seconds("call", 4) == 0
    assert costs.total_seconds({("add", 2): 3, ("call", 1): 2}) == pytest.approx(
        5e-3 + 3 * kernels.seconds("add", 2)
    )


def test_wrong_questions():
    with pytest.raises(ParameterError, match="mod up"):
        COSTS.kernels("mod_up", 3)
    with pytest.raises(ParameterError, match="not aggregated"):
        COSTS.kernels("mod up", 3, aggregated=True)
    summed = LimbPlacement(world_size=2, limbs=5, specials=2, aggregation="exact", digits=4)
    with pytest.raises(ParameterError, match="not aggregated"):
        OperationCosts(CHAIN, H100, summed).kernels("add", 3, aggregated=True)
    with pytest.raises(ParameterError, match="period of 3"):
        OperationCosts(CHAIN, H100, period=3)

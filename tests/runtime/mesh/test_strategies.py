"""Every strategy on one, two, three and four devices: the predicted bytes exactly, the bits of one device,
memory within 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from aegis_fhe.circuits.noise_backend import NoiseBackend, NoiseValue
from aegis_fhe.ckks import Ciphertext, Parameters, noise
from aegis_fhe.ckks.secret import SecretKey, decrypt
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.strategies import Rendering
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.operators import Refresh
from aegis_fhe.runtime.launch import LaunchOptions, launch
from aegis_fhe.runtime.mesh import MeshCommunicators, MeshExecution
from runtime.encrypted_layer import TOKENS, Encrypted, encrypted

from ..together import mesh_together
from .cases import Case, digest
from .rendered import DEGREES, OVER_PROCESSES, SHAPE, WORLDS, case_of, over_processes, renderings
from .test_execute import SEARCH_PATH

RENDERINGS = [(world, one) for world in WORLDS for one in renderings(world)]
ROUNDED = [one for _, one in RENDERINGS if one.limbs.aggregation == "rounded"]
EXACT = [(world, one) for world, one in RENDERINGS if one not in ROUNDED]


def name_of(value: Rendering | int) -> str:
    return f"{value.strategy} {value.variant}" if isinstance(value, Rendering) else str(value)


def shares(case: Case) -> list[MeshExecution]:
    """What every device made, once its bytes and its memory have been held against the prediction."""

    def body(communicators: MeshCommunicators) -> tuple[MeshExecution, dict[tuple[str, str, str], int]]:
        return case.share(communicators), communicators.received()

    found = mesh_together(case.mesh, body)
    for rank, (_, received) in enumerate(found):
        assert received == case.traffic.received[rank]
    executions = [execution for execution, _ in found]
    case.check_memory(executions)
    return executions


def test_every_strategy_is_there():
    strategies = {"single", "limb_parallel", "replicated", "tensor_parallel", "token"}
    for world in WORLDS:
        found = {one.strategy for n, one in RENDERINGS if n == world}
        assert found == (strategies if world == 1 else strategies - {"single"})
    assert {(one.limbs.aggregation, one.limbs.placed) for n, one in RENDERINGS if n == 2} == {
        (aggregation, placed)
        for aggregation in ("none", "exact", "rounded")
        for placed in ("replicated", "split")
    }


@pytest.mark.parametrize(("world", "rendering"), EXACT, ids=name_of)
def test_bits_of_one_device_and_predicted_bytes(world: int, rendering: Rendering):
    """One device runs the same packing and division; every stage and collective of every rank is compared."""
    case, made = case_of(rendering), set()
    assert case.mesh.world_size == world
    assert any(isinstance(node.operator, Refresh) for node in case.encrypted.program.graph.nodes)
    for rank, execution in enumerate(shares(case)):
        for name, value in execution.results.items():
            assert torch.equal(value.parts, case.expected(name, case.mesh.place(rank)[1]).parts)
            made.add(name)
    assert made == set(case.program.results)
    assert (case.traffic.most == 0) == (world == 1)


def test_only_products_by_rows_change_bits():
    """Their parts are rounded one by one. Two giant steps, as here, are turned once each in parts too."""
    for rendering in {one.division: one for _, one in EXACT}.values():
        whole = encrypted(Division(), SHAPE, rendering.packing, DEGREES)
        divided, division = case_of(rendering).encrypted, rendering.division
        for name, value in whole.results.items():
            same = torch.equal(divided.results[name].parts, value.parts)
            assert same == (not division.rows or division.parts == 1), division


def test_columns_alone_change_no_bit():
    packing = EXACT[0][1].packing
    whole = encrypted(Division(), SHAPE, packing, DEGREES).results
    parts = encrypted(Division(parts=3, heads=2, paired=True), SHAPE, packing, DEGREES).results
    for name, value in whole.items():
        assert torch.equal(parts[name].parts, value.parts)


class RoundedSums(NoiseBackend):
    """The noise interpreter with one rounding for every device in sums that are aggregated."""

    def __init__(self, params: Parameters, limbs: LimbPlacement, sparse_weight: int) -> None:
        super().__init__(params, limit=16, sparse_weight=sparse_weight)
        self.limbs, self.roundings = limbs, 0

    def rotate_sum(self, xs: Sequence[NoiseValue], steps: Sequence[int]) -> NoiseValue:
        total = super().rotate_sum(xs, steps)
        if not self._aggregated(xs, steps):
            return total
        self.roundings += self.limbs.world_size - 1
        more = math.sqrt(self.limbs.world_size - 1) * noise.mod_down_noise(self.params)
        return replace(total, error=self._mixed([total.error, self._new_noise(more)]))

    def rotate_sum_rescale(self, xs: Sequence[NoiseValue], steps: Sequence[int]) -> NoiseValue:
        if self._aggregated(xs, steps):
            return self.rescale(self.rotate_sum(xs, steps))
        return super().rotate_sum_rescale(xs, steps)

    def _aggregated(self, xs: Sequence[NoiseValue], steps: Sequence[int]) -> bool:
        turned = {id(x) for x, step in zip(xs, steps, strict=True) if step % self.slots}
        return self.limbs.aggregates(len(turned), min(x.level for x in xs))


def joined(case: Case, made: Sequence[MeshExecution], name: str) -> Ciphertext:
    """A whole ciphertext of the rows of one group's devices."""
    whole = case.encrypted.results[name]
    parts = torch.empty_like(whole.parts)
    for rank, execution in enumerate(made):
        parts[:, list(case.program.limbs.q_limbs(whole.level, rank))] = execution.results[name].parts
    return Ciphertext(parts=parts, scale=whole.scale)


def predicted_std(e: Encrypted, limbs: LimbPlacement) -> tuple[float, int]:
    """Noise of the results by the formulas, and how many roundings more than one device has."""
    program = e.program
    assert program.bootstrap is not None
    backend = RoundedSums(program.params, limbs, program.bootstrap.weight)
    inputs = {
        name: backend.encode(values, program.input_level, program.params.scale)
        for name, values in program.pack(e.layer.hidden).items()
    }
    results = program.run(backend, inputs, TOKENS).values()
    stds = [noise.slot_std(program.params, value.noise, value.scale) for value in results]
    return float(np.sqrt(np.mean(np.square(stds)))), backend.roundings


def difference(one: tuple[SecretKey, Ciphertext], other: tuple[SecretKey, Ciphertext]) -> float:
    """Of what both decrypt to, root mean square."""
    slots = [decrypt(secret, x).values for secret, x in (one, other)]
    return float(np.sqrt(np.mean(np.abs(slots[0] - slots[1]) ** 2)))


@pytest.mark.parametrize("rendering", ROUNDED, ids=name_of)
def test_rounding_on_every_device_stays_inside_the_noise_formula(rendering: Rendering):
    """It differs from one device's run as that differs from one with other keys, but for what is predicted.

    Where only one device has digits - special limbs everywhere, sums at the lowest level - it is one rounding
    of the same number, and the bits are those of one device.
    """
    case = case_of(rendering)
    e, made = case.encrypted, shares(case)
    (with_roundings, more), (plain, _) = (
        predicted_std(e, limbs) for limbs in (rendering.limbs, replace(rendering.limbs, aggregation="none"))
    )
    assert more > 0
    other = encrypted(rendering.division, SHAPE, rendering.packing, DEGREES, b"other keys")
    for name, whole in e.results.items():
        found = difference((e.secret, joined(case, made, name)), (e.secret, whole))
        usual = difference((other.secret, other.results[name]), (e.secret, whole))
        if rendering.limbs.placed == "replicated":
            assert found == 0.0
        else:
            assert 0.7 < found / usual / (with_roundings / plain) < 1.4


def test_over_real_processes():
    """Two processes, one rendering of each strategy after the other."""
    options = LaunchOptions(world_size=2, threads=1, environment={"PYTHONPATH": SEARCH_PATH}, timeout_s=300)
    found = over_processes()
    assert set(found) == set(OVER_PROCESSES)
    for rank, report in enumerate(launch("runtime.mesh.strategy_worker", {}, options)):
        for strategy, rendering in found.items():
            case, result = case_of(rendering), report.result[strategy]
            device = case.mesh.place(rank)[1]
            expected = {name: digest(case.expected(name, device)) for name in result["digests"]}
            assert result["digests"] == expected
            received = {tuple(key): count for *key, count in result["received"]}
            assert received == case.traffic.received[rank]

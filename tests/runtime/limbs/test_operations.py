"""Devices that share limbs: the bits of one device, and exactly the bytes that were predicted."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import aegis_fhe
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator
from aegis_fhe.ckks.secret import decrypt
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.limb_traffic import LimbTraffic
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.launch import LaunchOptions, launch
from aegis_fhe.runtime.limbs import LimbEvaluator, shard_ciphertext

from ..together import together
from .cases import Case, circuit, digest

SOURCES = Path(aegis_fhe.__file__).parents[1]
CHOICES = [{}, {"placed": "split"}, {"aggregation": "exact"}, {"aggregation": "exact", "placed": "split"}]


@cache
def case(digit_size: int, strided: bool) -> tuple[Case, list[Ciphertext]]:
    made = Case.of(digit_size, strided=strided)
    return made, made.single()


def predicted(placement: LimbPlacement, found: Case) -> LimbTraffic:
    traffic = LimbTraffic(found.params, placement)
    circuit(traffic, [Symbol(found.params.max_level, found.params.scale) for _ in found.inputs])
    return traffic


# Seven limbs are 7, 4 or 3 digits: where sums are aggregated, each must lie whole on one device.
COMBINATIONS = [
    (digit_size, world_size, choices)
    for digit_size in (1, 2, 3)
    for world_size in (1, 2, 3, 4)
    for choices in CHOICES
    if "aggregation" not in choices or -(-7 // digit_size) % world_size == 0
]


@pytest.mark.parametrize(("digit_size", "world_size", "choices"), COMBINATIONS, ids=str)
def test_bits_of_one_device_and_predicted_bytes(digit_size: int, world_size: int, choices: dict[str, Any]):
    """Uneven shares, digits without a limb on some device, levels without a limb on most."""
    aggregated = "aggregation" in choices
    found, expected = case(digit_size, aggregated)
    placement = found.placement(world_size, **choices)
    traffic = predicted(placement, found)

    def body(communicator: Communicator) -> tuple[list[Ciphertext], dict[tuple[str, str], int]]:
        return found.sharded(placement, communicator), communicator.ledger.by_collective()

    for rank, (made, ledger) in enumerate(together(world_size, body)):
        assert len(made) == len(expected)
        for x, whole in zip(made, expected, strict=True):
            assert (x.level, x.scale, x.components) == (whole.level, whole.scale, whole.components)
            assert torch.equal(x.parts, shard_ciphertext(whole, placement, rank).parts)
        assert ledger == traffic.received_bytes(rank)
        assert (ledger == {}) == (world_size == 1)
    if aggregated and world_size > 1:
        assert placement.aggregates(8, 6)
        assert "reduce_scatter" in {one.operation for one in traffic.collectives}


def joined(shards: list[Ciphertext], placement: LimbPlacement) -> Ciphertext:
    """The whole ciphertext."""
    level = shards[0].level
    parts = torch.empty((shards[0].components, level + 1, shards[0].parts.shape[-1]), dtype=torch.int64)
    for rank, shard in enumerate(shards):
        parts[:, list(placement.q_limbs(level, rank))] = shard.parts
    return Ciphertext(parts=parts, scale=shards[0].scale)


@pytest.mark.parametrize("world_size", [2, 4])
def test_rounding_before_the_sum_adds_one_rounding_for_each_device(world_size: int):
    """Other bits than one device's, and no more noise than so many roundings: from both sides."""
    found, _ = case(2, True)
    placement = found.placement(world_size, aggregation="rounded")
    steps = [1, 2, 3, 5]

    def body(communicator: Communicator) -> Ciphertext:
        xs = [shard_ciphertext(x, placement, communicator.rank) for x in found.inputs]
        return found.evaluator(placement, communicator).rotate_sum(xs, steps)

    sharded = joined(together(world_size, body), placement)
    exact = Evaluator(found.params, found.keys).rotate_sum(found.inputs, steps)
    limbs, ring = found.params.q_limbs(sharded.level), found.params.ring
    difference = ring.intt(ring.sub(sharded.parts, exact.parts, limbs), limbs)
    values = np.array([ring.to_integers(part, limbs) for part in difference], dtype=np.float64)
    assert 0 < np.abs(values).max() <= (world_size + 1) / 2
    # G uniform roundings less one: variance (G + 1) / 12 in every coefficient.
    measured = values.var() * 12 / (world_size + 1)
    assert 0.85 < measured < 1.15
    clear = sum(np.roll(v, -step) for v, step in zip(found.values, steps, strict=True))
    np.testing.assert_allclose(decrypt(found.secret, sharded).values.real, clear, atol=1e-5)


@pytest.mark.parametrize(
    ("world_size", "strided", "choices"),
    [(1, False, {}), (2, False, {}), (3, False, {"placed": "split"}), (4, True, {"aggregation": "exact"})],
)
def test_over_real_processes(world_size: int, strided: bool, choices: dict[str, Any]):
    path = os.pathsep.join([str(Path(__file__).parent), str(SOURCES)])
    options = LaunchOptions(world_size=world_size, threads=1, environment={"PYTHONPATH": path}, timeout_s=120)
    found, expected = case(2, strided)
    placement = found.placement(world_size, **choices)
    traffic = predicted(placement, found)
    reports = launch("limb_worker", {"strided": strided, "choices": choices}, options)
    for rank, report in enumerate(reports):
        shares = [digest(shard_ciphertext(x, placement, rank).parts) for x in expected]
        assert report.result["digests"] == shares
        ledger = {(node, operation): count for node, operation, count in report.result["ledger"]}
        assert ledger == traffic.received_bytes(rank)


def test_a_placement_that_does_not_fit_is_refused():
    found, _ = case(2, False)
    with pytest.raises(CompatibilityError, match=r"7 \+ 2 limbs on 1"):
        found.evaluator(found.placement(2), Communicator())
    strided, _ = case(2, True)
    placement = strided.placement(1, aggregation="exact")
    keys = EvaluationKeys.collect(strided.params, [])
    with pytest.raises(CompatibilityError, match="keys of this device's digits"):
        LimbEvaluator(strided.params, keys, placement, Communicator())

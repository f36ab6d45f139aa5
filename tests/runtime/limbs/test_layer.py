"""A whole encrypted layer, bootstraps included, whose limbs several devices share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from aegis_fhe.circuits.bootstrap import BootstrapPlan, SineModulus, presets
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, SlotVector
from aegis_fhe.ckks.secret import SecretKey, decrypt, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.placement.limb_traffic import LimbTraffic
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.program.long.compile import LongProgram, compile_layer
from aegis_fhe.program.long.shape import Degrees, LayerShape
from aegis_fhe.program.operators import Refresh
from aegis_fhe.ring import native
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.limbs import LimbEvaluator, digit_shards, shard_ciphertext, shard_keys
from program.long.layers import TinyLayer, tiny_layer

from .together import together

SHAPE = LayerShape.encoder(features=8, heads=2, hidden=16)
DEGREES = Degrees(exponential=15, squarings=0, reciprocal=15, newton_steps=0, inverse_sqrt=15, activation=15)
TOKENS = 16


@dataclass(frozen=True)
class Encrypted:
    """One layer with its keys, inputs and the results of one device."""

    layer: TinyLayer
    program: LongProgram
    secret: SecretKey
    keys: EvaluationKeys
    inputs: dict[str, Ciphertext]
    results: dict[str, Ciphertext]


def bootstrap() -> BootstrapPlan:
    """N = 2^9 with four strided digits, which one, two and four devices hold whole."""
    plan = presets.plan(
        9,
        14,
        to_coefficients=(4, 4),
        to_slots=(3, 3, 2),
        sine=SineModulus(width=2.0**-4.5, arcsine_degree=7),
        special=8,
        insecure=True,
    )
    return replace(plan, params=replace(plan.params, strided=True))


@cache
def encrypted() -> Encrypted:
    native.set_threads(1)
    layer, plan = tiny_layer(SHAPE, TOKENS), bootstrap()
    program = compile_layer(
        SHAPE, layer.weights, layer.ranges, tokens=TOKENS, bootstrap=plan, degrees=DEGREES
    )
    params = program.params
    secret = SecretKey.generate(params, seed=b"layer")
    keys = EvaluationKeys.collect(
        params,
        evaluation_keys(secret, program.key_requests(), seed=b"layer"),
        encapsulation_keys(secret, plan.weight, seed=b"layer"),
    )
    inputs = {
        name: encrypt(secret, SlotVector(v), level=program.input_level, seed=name.encode()).expand(params)
        for name, v in program.pack(layer.hidden).items()
    }
    results = program.run(Evaluator(params, keys), inputs, TOKENS)
    return Encrypted(layer, program, secret, keys, inputs, results)


def test_one_device_computes_the_layer():
    e = encrypted()
    slots = {name: decrypt(e.secret, x).values.real for name, x in e.results.items()}
    np.testing.assert_allclose(e.program.unpack(slots, TOKENS), e.layer.result, atol=1e-3)


@pytest.mark.parametrize(
    ("world_size", "choices"),
    [
        (2, {}),
        (3, {"placed": "split"}),
        (4, {"placed": "split"}),
        (2, {"aggregation": "exact"}),
        (4, {"aggregation": "exact", "placed": "split"}),
    ],
    ids=str,
)
def test_bits_of_one_device_and_predicted_bytes(world_size: int, choices: dict[str, Any]):
    e = encrypted()
    params, program = e.program.params, e.program
    placement = LimbPlacement(
        world_size=world_size, limbs=len(params.q), specials=len(params.p), digits=4, **choices
    )
    traffic = LimbTraffic(params, placement)
    fresh = Symbol(program.input_level, params.scale)

    def announce(backend: Any) -> Any:
        return lambda node: setattr(backend, "node", node.name)

    run_graph(
        program.graph,
        traffic,
        dict.fromkeys(e.inputs, fresh),
        program.context(TOKENS),
        announce=announce(traffic),
    )

    def body(communicator: Communicator) -> tuple[dict[str, Ciphertext], dict[tuple[str, str], int]]:
        rank = communicator.rank
        aggregates = placement.aggregation != "none"
        evaluator = LimbEvaluator(
            params,
            shard_keys(params, e.keys, placement, rank),
            placement,
            communicator,
            digit_keys=digit_shards(e.keys, placement, rank) if aggregates else None,
        )
        inputs = {name: shard_ciphertext(x, placement, rank) for name, x in e.inputs.items()}
        results = run_graph(
            program.graph, evaluator, inputs, program.context(TOKENS), announce=announce(evaluator.exchange)
        )
        return results, communicator.ledger.by_collective()

    for rank, (results, ledger) in enumerate(together(world_size, body)):
        for name, whole in e.results.items():
            assert torch.equal(results[name].parts, shard_ciphertext(whole, placement, rank).parts)
        assert ledger == traffic.received_bytes(rank)
    refreshes = {node.name for node in program.graph.nodes if isinstance(node.operator, Refresh)}
    assert refreshes
    assert refreshes < {one.node for one in traffic.collectives}

"""A whole encrypted layer, bootstraps included, whose limbs several devices share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks import Ciphertext
from aegis_fhe.ckks.secret import decrypt
from aegis_fhe.placement.limb_traffic import LimbTraffic
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.program.operators import Refresh
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.limbs import LimbEvaluator, shard_ciphertext

from ..encrypted_layer import TOKENS, encrypted
from ..together import together
from .cases import digit_shards, shard_keys


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
            digit_keys=digit_shards(params, e.keys, placement, rank) if aggregates else None,
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

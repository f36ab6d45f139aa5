"""When the statistics of a norm are worth sharing by limbs: real counts, priced."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.cost import Link, Network, load_device, load_network
from aegis_fhe.placement.limb_traffic import LimbTraffic
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.model_shapes import MODELS
from aegis_fhe.placement.sharing import SharingSeconds
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.long.shape_program import ShapeProgram

# Variance of a token's features, its bootstrap, 1/sqrt of it: one ciphertext, while 48 of its token wait.
CHAIN = ["first.variance[0]", "first.variance.fresh.0[0]", "first.root.0[0]"]
AT_ONCE = Network(link=Link(name="at once", bytes_per_second=1e15, latency_seconds=0.0, share=1.0))


@cache
def bert() -> ShapeProgram:
    """BERT-base, 2048 tokens, N = 2^16."""
    model = MODELS["bert-base"]
    return ShapeProgram.of(model.layer, presets.n16(), tokens=2048, degrees=model.degrees, most_scores=0)


@cache
def seconds(network: Network, devices: int = 4) -> SharingSeconds:
    params = bert().bootstrap.params
    limbs = LimbPlacement(world_size=1, limbs=len(params.q), specials=len(params.p))
    return SharingSeconds.of(bert(), Mesh(tokens=devices), limbs, load_device("h200"), network)


def test_statistics_are_worth_sharing_on_a_fast_link_alone():
    """Projected on four H200: 26.5 ms alone; 11.0, 19.8 and 143 ms together."""
    alone = seconds(AT_ONCE)(CHAIN).alone
    found = [
        seconds(network)(CHAIN) for network in (AT_ONCE, *map(load_network, ("h200-nvlink", "ethernet-100g")))
    ]
    assert alone == pytest.approx(26.53e-3, rel=1e-3)
    assert [one.alone for one in found] == [alone] * 3
    assert [one.computing for one in found] == [found[0].computing] * 3
    assert alone / 4 < found[0].computing < alone / 2  # special limbs are computed by all
    assert [one.together for one in found] == pytest.approx([10.95e-3, 19.76e-3, 143.3e-3], rel=1e-3)
    assert [one.gain > 0 for one in found] == [True, True, False]


def test_more_devices_compute_less_and_wait_more():
    network = load_network("h200-nvlink")
    found = [seconds(network, devices)(CHAIN) for devices in (1, 2, 4, 8)]
    assert found[0].together == found[0].alone
    computing, exchanging = [one.computing for one in found], [one.exchanging for one in found]
    assert computing == sorted(computing, reverse=True)
    assert exchanging == sorted(exchanging)
    assert found[2].gain > found[3].gain > 0  # eight devices are too many for one ciphertext


def test_what_the_team_exchanges_and_moves():
    """Against a run of the nodes one by one: on links without latency the busiest end is bytes alone."""
    program, params = bert(), bert().bootstrap.params
    rate = Network(link=Link(name="slow", bytes_per_second=1e9, latency_seconds=0.0, share=1.0))
    priced = seconds(rate)
    traffic, values = LimbTraffic(params, priced.layout.team), dict(priced.facts.symbols)
    for node in program.graph.nodes:
        if node.name in CHAIN:
            run_node(node, traffic, values, program.context)
    row = params.degree * 8
    expected = 0.0
    for one in traffic.collectives:
        sent = Counter[int]()
        for move in one.moves:
            sent[move.source] += one.components * len(move.limbs)
        expected += max(*one.received, *sent.values()) * row / 1e9
    found = priced(CHAIN)
    assert found.exchanging == pytest.approx(expected)
    level = priced.facts.symbols["first.squares.0[0]"].level
    root = priced.facts.symbols["first.root.0[0]"].level
    # Device 0 keeps its own rows, ceil((l + 1) / 4), and sends or receives the others of two components.
    rows = sum(2 * (top + 1 - (top + 4) // 4) for top in (level, root))
    assert found.moving == pytest.approx(rows * row / 1e9)


def test_unknown_nodes_are_refused():
    with pytest.raises(CompatibilityError, match="no nodes third"):
        seconds(AT_ONCE)([*CHAIN, "third.root"])

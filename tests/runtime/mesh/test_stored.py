"""Plans out of their files, executed: the predicted bytes exactly, the bits of one device."""

from __future__ import annotations

import msgspec
import pytest

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.cost import load_device
from aegis_fhe.placement.evaluate import Machine, evaluate
from aegis_fhe.placement.plan_check import check_prediction, stored_traffic
from aegis_fhe.placement.plan_file import StoredPlan
from aegis_fhe.placement.plan_storing import rendering_of, stored_plan
from aegis_fhe.placement.planned_layer import PlannedLayer
from aegis_fhe.placement.planner import Choice
from aegis_fhe.placement.schedule import TEAM
from aegis_fhe.runtime.mesh.planned import PlannedProgram
from runtime.encrypted_layer import TOKENS, encrypted

from .rendered import DEGREES, SHAPE, case_of
from .test_planned import FAST, check, choices, plan, program

MACHINE = Machine(device=load_device("a100"), network=FAST)


def layer(devices: int) -> PlannedLayer:
    return PlannedLayer(
        model="test", shape=SHAPE, degrees=DEGREES, tokens=TOKENS, devices=devices, bootstrap=plan()
    )


def stored(groups: int, block_tokens: int, options: tuple[int, ...] | None = None) -> StoredPlan:
    """The plan of least time, or of these ways, through its JSON."""
    own = choices(groups, block_tokens)
    choice = own.best("time")
    if options is not None:
        cost = own.problem.cost(options)
        assert cost is not None
        choice = Choice(options=options, cost=cost)
    found = evaluate(own.rendering(choice, "stored"), program(block_tokens), MACHINE)
    text = msgspec.json.encode(stored_plan(layer(groups), found))
    return msgspec.json.decode(text, type=StoredPlan)


def test_a_stored_plan_runs_as_predicted():
    """Also with nodes of the team; the bytes are those of the layer without weights."""
    one = stored(4, 16)
    rendering = rendering_of(one, layer(4))
    case = case_of(rendering)
    assert TEAM in case.program.schedule.assignment.where.values()
    assert stored_traffic(case.traffic.received) == one.received
    check(rendering)


def test_a_layer_with_weights_has_the_bytes_and_the_memory_of_its_shape():
    """Ranges change numbers of its operators, never levels."""
    for block_tokens in (16, 4):
        one = stored(2, block_tokens)
        rendering = rendering_of(one, layer(2))
        e = encrypted(rendering.division, SHAPE, rendering.packing, DEGREES)
        check_prediction(one, PlannedProgram.of(one, e.program).prediction)


@pytest.mark.parametrize(("groups", "block_tokens"), [(4, 16), (2, 4)])
def test_seconds_follow_from_the_machine_in_the_plan(groups: int, block_tokens: int):
    """Those that were predicted when it was made, to the bit; nodes of a group take what its stages take."""
    own = choices(groups, block_tokens)
    found = evaluate(own.rendering(own.best("time"), "stored"), program(block_tokens), MACHINE)
    one = stored(groups, block_tokens)
    e = encrypted(rendering_of(one, layer(groups)).division, SHAPE, found.rendering.packing, DEGREES)
    planned = PlannedProgram.of(one, e.program)
    assert max(one.seconds for one in planned.timelines) == found.timeline.seconds
    for group, timeline in enumerate(planned.timelines):
        seconds = planned.node_seconds(group)
        assert set(seconds) == {node.name for node in found.plan.nodes_of(group)}
        inside = sum(timeline.busy.values()) + sum(timeline.inside.values())
        assert sum(seconds.values()) == pytest.approx(inside)


def test_a_tampered_place_is_refused_or_runs_with_the_bytes_that_follow():
    one = stored(2, 16)
    run = next(i for i, (name, _, at) in enumerate(one.places) if at == (0,) and not name.startswith("x."))
    name, count, _ = one.places[run]
    places = (*one.places[:run], (name, count, (1,)), *one.places[run + 1 :])
    moved = msgspec.structs.replace(one, places=places)
    rendering = rendering_of(moved, layer(2))
    e = encrypted(rendering.division, SHAPE, rendering.packing, DEGREES)
    found = PlannedProgram.of(moved, e.program).prediction
    with pytest.raises(CompatibilityError, match="does not follow from its places"):
        check_prediction(moved, found)
    assert stored_traffic(found.traffic.received) != one.received
    check(rendering)

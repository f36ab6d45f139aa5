"""A plan comes out of its file as it went in; a damaged file, or one of another layer, is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.errors import AegisError, CompatibilityError, ContainerError
from aegis_fhe.placement.evaluate import Evaluation
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.plan_check import check_prediction
from aegis_fhe.placement.plan_file import StoredPlan, read_plan_file
from aegis_fhe.placement.plan_storing import places_of, rendering_of
from aegis_fhe.placement.planned_layer import PlannedLayer
from aegis_fhe.placement.prediction import predict
from aegis_fhe.placement.schedule import TEAM, schedule
from aegis_fhe.program.long.divide import NodeDivisions
from aegis_fhe.program.long.shape import Degrees

from .stored_plans import comparison, document, layer, of_planner, of_strategies, workload, written

Facts = dict[str, Any]


def check_same(found: Evaluation, stored: StoredPlan) -> None:
    """Division, places, rounds with all their moves, bytes and memory."""
    one, original = rendering_of(stored, layer(stored.devices)), found.rendering
    assert (one.strategy, one.variant) == (original.strategy, original.variant)
    assert (one.packing, one.mesh, one.limbs) == (original.packing, original.mesh, original.limbs)
    if isinstance(original.division, NodeDivisions):
        assert isinstance(one.division, NodeDivisions)
        assert dict(one.division.divisions) == dict(original.division.divisions)
    else:
        assert one.division == original.division
    program = comparison().program(one.packing).divided(one.division)
    assignment = one.assignment(program.graph)
    assert assignment.where == found.plan.assignment.where
    assert schedule(program.graph, assignment).rounds == found.plan.rounds
    params = program.bootstrap.params
    again = predict(program.graph, program.context, program.symbols, params, assignment, one.limbs)
    assert (again.traffic, again.memory) == (found.traffic, found.memory)
    check_prediction(stored, again)


def test_every_strategy_comes_out_as_it_went_in(tmp_path: Path):
    strategies = set()
    for found in of_strategies():
        check_same(found, written(found, tmp_path / "plan.json"))
        strategies.add(found.rendering.strategy)
    assert strategies == {"single", "limb_parallel", "replicated", "tensor_parallel", "token"}


def test_whatever_a_planner_may_choose_comes_out_as_it_went_in(tmp_path: Path):
    places = set()
    for found in of_planner(6):
        check_same(found, written(found, tmp_path / "plan.json"))
        places |= set(found.plan.assignment.where.values())
    assert places == {(0,), (1,), (0, 1), TEAM}


def test_figures_stay_readable_and_a_plan_is_one_line(tmp_path: Path):
    path = tmp_path / "plan.json"
    facts = document(path)
    assert facts["tokens"] == workload().tokens
    (figures,) = facts["strategies"].values()
    assert figures["stages"]["total"]
    lines = path.read_text().splitlines()
    assert sum('"places"' in line for line in lines) == 1


def test_nodes_with_one_place_are_one_entry(tmp_path: Path):
    stored = written(comparison().verdict("single").best, tmp_path / "plan.json")
    ((_, count, place),) = stored.places
    assert (count, place) == (len(comparison().verdict("single").best.plan.assignment.where), (0,))


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return document(tmp_path_factory.mktemp("plan") / "plan.json")


def loaded(facts: Facts, path: Path) -> None:
    """All that is looked at before a plan runs."""
    path.write_text(json.dumps(facts))
    stored = read_plan_file(path).plan()
    rendering = rendering_of(stored, PlannedLayer.of(stored))
    program = layer().program(rendering.packing).divided(rendering.division)
    check_prediction(
        stored,
        predict(
            program.graph,
            program.context,
            program.symbols,
            program.bootstrap.params,
            rendering.assignment(program.graph),
            rendering.limbs,
        ),
    )


def changed(facts: Facts, change: Callable[[Facts], object]) -> Facts:
    facts = copy.deepcopy(facts)
    (figures,) = facts["strategies"].values()
    change(figures["plan"])
    return facts


def put(*path: Any, to: Any) -> Callable[[Facts], object]:
    """A change: the entry at a path."""

    def change(plan: Facts) -> None:
        found: Any = plan
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = to

    return change


DAMAGED = {
    "an unknown field": (put("extra", to=1), "unknown field `extra`"),
    "a missing field": (lambda plan: plan.pop("places"), "missing required field `places`"),
    "a text for a number": (put("tokens", to="64"), "Expected `int`, got `str`"),
    "no tokens": (put("tokens", to=0), "Expected `int` >= 1"),
    "another version": (put("version", to=1), "of version 1, not 2"),
    "no machine": (lambda plan: plan.pop("machine"), "missing required field `machine`"),
    "a kernel that takes no time": (put("machine", "device", "kernels", "ntt", to=0), "Expected `float` > 0"),
    "an unknown field of the packing": (put("packing", "rows", to=2), "packing has rows, which it cannot"),
    "a text in the packing": (put("packing", "block_tokens", to="x"), "packing is not as it should be"),
    "a mesh of no devices": (put("mesh", "tokens", to=0), "1 x 1 is least"),
    "an unknown field of the limbs": (put("limbs", "owner", to=2), "placement of limbs has owner"),
    "no shape": (put("shape", to={}), "the plan's shape is not as it should be"),
    "an odd shape": (put("shape", "key_value_heads", to=3), "cannot share 3 key-value heads evenly"),
    "a place that is a word": (put("places", 0, 2, to="all"), "Invalid enum value 'all'"),
    "a negative group": (put("places", 0, 2, to=[-1]), "Expected `int` >= 0"),
    "a run of no nodes": (put("places", 0, 1, to=0), "Expected `int` >= 1"),
    "a long run": (lambda plan: plan["places"][0].append(1), "Expected `array` of length 3"),
    "an unknown field of a division": (put("division", 0, 2, to={"way": 1}), "has way, which it cannot"),
    "another fingerprint": (put("parameters", "fingerprint", to="00"), "not those of its fingerprint"),
    "a modulus that is no prime": (put("parameters", "parameters", "q", 0, to=15), "not a prime"),
    "a bootstrap without stages": (
        put("parameters", "bootstrap", "to_slots", to=None),
        "not a bootstrap plan",
    ),
}
FOREIGN = {
    "an unknown node": (put("places", 0, 0, to="y.0[0]"), "y.0[0], which this program does not have"),
    "a node too early": (lambda plan: plan["places"].reverse(), "the plan's places go on with node"),
    "nodes left out": (lambda plan: plan["places"].pop(), "are missing"),
    "a node twice": (lambda plan: plan["places"].append(plan["places"][0]), "not with the end"),
    "too many nodes": (lambda plan: plan["places"][-1].__setitem__(1, 99999), "have 99999 nodes from"),
    "a group outside the mesh": (put("places", 0, 2, to=[7]), "computed by groups [7] of 2"),
    "nobody": (put("places", 0, 2, to=[]), "computed by groups [] of 2"),
    "a group twice": (put("places", 0, 2, to=[0, 0]), "computed by groups [0, 0] of 2"),
    "an unknown undivided node": (put("division", 0, 0, to="y"), "divisions go on with node y, which"),
    "undivided nodes left out": (lambda plan: plan["division"].pop(), "the plan's divisions end before"),
    "another graph": (put("graph", to="00"), "another version of this program"),
    "another mesh": (put("mesh", to={"tokens": 3}), "mesh is of 3 x 1 devices, not of 2"),
    "limbs on more devices": (put("limbs", "world_size", to=2), "31 + 8 limbs on 2 devices"),
    "fewer limbs": (put("limbs", "limbs", to=9), "places 9 + 8 limbs"),
    "other digits": (put("limbs", "digits", to=3), "its parameters have 31 + 8"),
    "bytes of more ranks": (lambda plan: plan["received"].append([]), "bytes of 3 ranks, its mesh has 2"),
    "other bytes": (put("received", 0, 0, 3, to=1), "1 bytes expected"),
    "bytes of another stage": (put("received", 0, 0, 1, to="nowhere"), "0 bytes expected"),
    "less memory": (put("memory", "keys", to=0), "from its places follow"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_plans_are_refused(facts: Facts, tmp_path: Path, name: str):
    change, message = DAMAGED[name]
    with pytest.raises(ContainerError) as caught:
        loaded(changed(facts, change), tmp_path / "plan.json")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", FOREIGN)
def test_plans_that_do_not_fit_are_refused(facts: Facts, tmp_path: Path, name: str):
    change, message = FOREIGN[name]
    with pytest.raises(CompatibilityError) as caught:
        loaded(changed(facts, change), tmp_path / "plan.json")
    assert message in str(caught.value)


def test_the_file_without_a_change_is_taken(facts: Facts, tmp_path: Path):
    loaded(facts, tmp_path / "plan.json")


def test_no_change_of_one_character_is_taken_for_another_plan(facts: Facts, tmp_path: Path):
    """Whatever digit of a plan is changed: it is refused, or says the same and is only named otherwise."""
    path = tmp_path / "plan.json"
    (figures,) = facts["strategies"].values()
    text = json.dumps(figures["plan"])
    document = {**facts, "strategies": {"single": {"plan": None}}}
    digits = [i for i, c in enumerate(text) if c.isdigit()]
    for i in digits[:: max(1, len(digits) // 25)]:
        other = text[:i] + str((int(text[i]) + 1) % 10) + text[i + 1 :]
        document["strategies"]["single"]["plan"] = json.loads(other)
        try:
            loaded(document, path)
        except AegisError:
            continue
        plan = json.loads(other)
        same = {key for key in plan if plan[key] == figures["plan"][key]}
        # A number that divides nothing here may change: the graph that was divided by it is the same.
        assert {"places", "graph", "mesh", "limbs", "packing", "received", "memory"} <= same


@pytest.mark.parametrize("end", [0, 1, 100, -2, -40])
def test_truncated_files_are_refused(facts: Facts, tmp_path: Path, end: int):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(facts)[:end])
    with pytest.raises(ContainerError):
        read_plan_file(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "aegis-device"}, "kind 'aegis-device', not 'aegis-plan'"),
        ({"version": 1}, "of version 1, not 2"),
        ({"strategies": {}}, "holds no plan"),
        ({"strategies": {"single": {}}}, "missing required field `plan`"),
    ],
)
def test_other_files_are_refused(facts: Facts, tmp_path: Path, change: Facts, message: str):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**facts, **change}))
    with pytest.raises(ContainerError) as caught:
        read_plan_file(path)
    assert message in str(caught.value)


def test_a_report_without_plans_is_refused_as_no_plan(tmp_path: Path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"model": "bert-base"}))
    with pytest.raises(ContainerError, match="missing required field `format`"):
        read_plan_file(path)


def other_layers() -> dict[str, tuple[PlannedLayer, str]]:
    mine = layer()
    wider = replace(mine.shape, hidden=mine.shape.hidden * 2)
    bootstrap = replace(mine.bootstrap, weight=16)
    return {
        "model": (replace(mine, model="bert-base"), "model small, not bert-base"),
        "shape": (replace(mine, shape=wider), "shape LayerShape("),
        "degrees": (replace(mine, degrees=Degrees(activation=31)), "degrees Degrees("),
        "tokens": (replace(mine, tokens=128), "number of tokens 64, not 128"),
        "devices": (replace(mine, devices=4), "number of devices 2, not 4"),
        "parameters": (replace(mine, bootstrap=presets.tiny(11)), "parameters insecure-boot-N10"),
        "bootstrap": (replace(mine, bootstrap=bootstrap), "bootstrap {"),
    }


@pytest.mark.parametrize(
    "what", ["model", "shape", "degrees", "tokens", "devices", "parameters", "bootstrap"]
)
def test_a_plan_for_another_layer_is_refused(facts: Facts, tmp_path: Path, what: str):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(facts))
    other, message = other_layers()[what]
    with pytest.raises(CompatibilityError) as caught:
        rendering_of(read_plan_file(path).plan(), other)
    assert message in str(caught.value)
    assert "aegis plan" in str(caught.value)


def test_a_node_on_another_group_is_another_plan(facts: Facts, tmp_path: Path):
    """Refused with the old bytes; with those that follow from the new place it is as good as any plan."""
    path = tmp_path / "plan.json"

    def moved(plan: Facts) -> None:
        run = next(run for run in plan["places"] if run[2] == [0] and not run[0].startswith("x."))
        run[2] = [1]

    tampered = changed(facts, moved)
    with pytest.raises(CompatibilityError, match="does not follow from its places"):
        loaded(tampered, path)
    path.write_text(json.dumps(tampered))
    stored = read_plan_file(path).plan()
    rendering = rendering_of(stored, layer())
    program = layer().program(rendering.packing).divided(rendering.division)
    found = predict(
        program.graph,
        program.context,
        program.symbols,
        program.bootstrap.params,
        places_of(stored, program.graph, Mesh(tokens=2)),
        rendering.limbs,
    )
    tampered = changed(
        tampered,
        lambda plan: plan.update(
            received=[[[*key, n] for key, n in one.items()] for one in found.traffic.received],
            memory=msgspec.to_builtins(found.memory),
        ),
    )
    loaded(tampered, path)


def test_which_plan_of_a_file_is_meant(facts: Facts, tmp_path: Path):
    path = tmp_path / "plan.json"
    (figures,) = facts["strategies"].values()
    both = {**facts, "strategies": {"token": figures, "aegis": figures}, "front": [figures]}
    path.write_text(json.dumps(both))
    found = read_plan_file(path)
    assert list(found.plans) == ["token", "aegis", "front 1"]
    assert found.plan() is found.plans["aegis"]
    assert found.plan("front 1") is found.plans["front 1"]
    path.write_text(json.dumps({**facts, "strategies": {}, "front": [figures, figures]}))
    assert read_plan_file(path).plan() == found.plans["front 1"]
    with pytest.raises(CompatibilityError, match="'single' in the file: it has token, aegis, front 1"):
        found.plan("single")

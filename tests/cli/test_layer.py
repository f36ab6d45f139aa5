"""`aegis layer`: what `aegis plan` planned, run by worker processes of this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aegis_fhe.bench import planned_run
from aegis_fhe.placement.evaluate import STAGES
from aegis_fhe.runtime.memory_estimate import PROCESS_BYTES

from .conftest import TINY_PLAN, Answer

Aegis = Callable[..., Answer]


@pytest.mark.parametrize("strategy", ["aegis", "limb_parallel"])
def test_a_plan_runs_as_it_was_planned(aegis: Aegis, plan: Path, strategy: str, tmp_path: Path):
    """By tokens, and by limbs, whose rows are put together again."""
    trace, options = tmp_path / "trace.json", ("--strategy", strategy, "--seed", "layer")
    answer = aegis("layer", plan, "--insecure", "--json", *options, "--trace", trace)
    assert answer.status == 0, answer.err
    facts = json.loads(answer.out)
    stored = json.loads(plan.read_text())["strategies"][strategy]["plan"]
    assert facts["received_bytes"] == stored["received"]
    assert facts["predicted_received_bytes"] == stored["received"]
    assert any(facts["received_bytes"])
    assert facts["bits"] > 19
    assert facts["bits_of_approximations"] > 22
    assert 20 < facts["bits_of_noise"] < 27
    assert "%" not in answer.err
    check_comparison(facts)
    assert facts["secret_modules_in_workers"] == []
    assert set(facts["stages"]) >= {"qkv", "attend", "output", "expand", "contract", "refresh"}
    assert min(facts["stages"].values()) >= 0 < facts["seconds"]["devices"]
    memory = facts["predicted_memory_bytes"]
    assert memory["total"] == sum(stored["memory"].values())
    for held, predicted in zip(facts["held_bytes"], facts["predicted_held_bytes"], strict=True):
        assert held == pytest.approx(predicted, rel=0.05)
        assert held["total"] == sum(n for kind, n in held.items() if kind != "total")
    assert max(one["total"] for one in facts["held_bytes"]) == pytest.approx(memory["total"], rel=0.05)
    check_trace(json.loads(trace.read_text())["traceEvents"], facts)


def check_comparison(facts: dict[str, Any]) -> None:
    """Of the slowest device, in all reported stages; for a projection, which it is said to be."""
    found = facts["comparison"]
    assert facts["run_seconds"][found["rank"]] == max(facts["run_seconds"])
    assert (found["machine"]["device"], found["machine"]["measured"]) == ("a100", False)
    assert set(found["stages"]) == {*STAGES, "total"}
    total = found["stages"]["total"]["measured"]
    assert 0 < total["computing"] <= total["total"] <= max(facts["run_seconds"])
    shares_limbs = facts["mesh"]["limbs"] > 1
    assert (total["exchanging"] > 0) == (found["stages"]["total"]["predicted"]["exchanging"] > 0)
    assert total["exchanging"] > 0 or not shares_limbs


def test_a_measured_machine_has_a_remaining_time(aegis: Aegis, plan: Path, tmp_path: Path):
    """The plan says that its device and link were measured, with a thread for each of two devices."""

    def measured(one: dict[str, Any]) -> None:
        one["machine"]["device"].update(provenance="measured on a stand-in", threads=1)
        one["machine"]["network"]["link"]["source"] = "measured: nothing"

    path = changed(plan, tmp_path / "plan.json", measured)
    answer = aegis("layer", path, "--insecure")
    assert answer.status == 0, answer.err
    assert "100.0 %" in answer.err
    assert "left" in answer.err
    printed = " ".join(answer.out.split())
    assert "Predicted for a100 (measured on a stand-in) on a100-nvlink (measured)." in printed
    assert "a projection" not in printed
    assert printed.count(" difference ") == len(STAGES) + 1


def check_trace(events: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Two processes; in a lane no spans overlap; bytes are those of the ledgers, memory has its peak."""
    spans = [event for event in events if event["ph"] == "X"]
    assert {event["pid"] for event in spans} == {0, 1}
    lanes: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for span in sorted(spans, key=lambda span: span["ts"]):
        lanes.setdefault((span["pid"], span["tid"]), []).append(span)
    for own in lanes.values():
        for before, after in pairwise(own):
            assert before["ts"] + before["dur"] <= after["ts"] + 0.5  # microseconds in double precision
    for rank, received in enumerate(facts["received_bytes"]):
        mine = [span for span in spans if span["pid"] == rank]
        moved = [span["args"] for span in mine if span["cat"] == "communication"]
        found = sum(one["bytes_received"] for one in moved if not one["control"])
        assert found == sum(count for *_, count in received)
        computed = sum(span["dur"] for span in mine if span["cat"] == "compute") * 1e-6
        waited = sum(span["dur"] for span in mine if span["cat"] == "wait") * 1e-6
        assert 0 < computed + waited <= facts["run_seconds"][rank]
        curve = [event["args"] for event in events if event["ph"] == "C" and event["pid"] == rank]
        held = facts["held_bytes"][rank]  # keys may lie in a mapped file
        assert max(one["peak"] for one in curve) >= held["activations"] + held["workspace"]


def test_a_trace_that_cannot_be_written_is_refused_before_the_work(aegis: Aegis, plan: Path, tmp_path: Path):
    path = tmp_path / "nowhere" / "trace.json"
    assert f"{path} cannot be written" in refused(aegis, plan, "--insecure", "--trace", path)


def refused(aegis: Aegis, *arguments: object) -> str:
    answer = aegis("layer", *arguments)
    assert answer.status == 2
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    return line


def test_insecure_parameters_must_be_asked_for(aegis: Aegis, plan: Path, tmp_path: Path):
    assert "say --insecure" in refused(aegis, plan)
    answer = aegis("plan", *TINY_PLAN.replace("--insecure ", "").split())
    assert answer.status == 2
    assert "INSECURE): choose others, or say --insecure" in answer.err


def test_more_memory_than_the_machine_has_is_refused_before_the_work(
    aegis: Aegis, plan: Path, monkeypatch: pytest.MonkeyPatch
):
    stored = json.loads(plan.read_text())["strategies"]["aegis"]["plan"]
    each = sum(stored["memory"].values())
    have = 2 * (each + PROCESS_BYTES) - 1
    monkeypatch.setattr(planned_run, "available_bytes", lambda: have)
    line = refused(aegis, plan, "--insecure", "--quiet")
    assert f"2 devices of {each / 2**30:.2f} GiB" in line
    assert f"{have / 2**30:.2f} GiB are available" in line
    assert "plan for fewer devices" in line


def changed(plan: Path, path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    facts = json.loads(plan.read_text())
    change(facts["strategies"]["aegis"]["plan"])
    path.write_text(json.dumps(facts))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(model="gpt2"), "another version of model gpt2"),
        (lambda p: p.update(model="gpt-5"), "model 'gpt-5', which is none of"),
        (lambda p: p["shape"].update(hidden=128), "another version of model tiny"),
        (lambda p: p.update(tokens=32), "32 tokens in 1024 slots take at most 32"),
        (lambda p: p.update(devices=4), "mesh is of 2 x 1 devices, not of 4"),
        (lambda p: p["places"][-1].__setitem__(2, [1]), "does not follow from its places"),
        (lambda p: p["memory"].update(keys=1), "the plan says that a device needs"),
    ],
)
def test_what_does_not_fit_is_one_line(
    aegis: Aegis, plan: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
):
    path = changed(plan, tmp_path / "plan.json", change)
    assert message in refused(aegis, path, "--insecure", "--quiet")


def test_files_that_are_no_plans(aegis: Aegis, tmp_path: Path):
    assert "cannot be read" in refused(aegis, tmp_path / "nothing.json")
    path = tmp_path / "plan.json"
    path.write_text("{}")
    assert "is not a file of kind 'aegis-plan'" in refused(aegis, path)


def test_a_strategy_that_is_not_in_the_file(aegis: Aegis, plan: Path):
    assert "there is no plan 'front 1' in the file" in refused(aegis, plan, "--strategy", "front 1")

"""`aegis layer`: what `aegis plan` planned, run by worker processes of this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_fhe.bench import planned_run
from aegis_fhe.runtime.memory_estimate import PROCESS_BYTES

from .conftest import TINY_PLAN, Answer

Aegis = Callable[..., Answer]


@pytest.mark.parametrize("strategy", ["aegis", "limb_parallel"])
def test_a_plan_runs_as_it_was_planned(aegis: Aegis, plan: Path, undisturbed: dict[str, Any], strategy: str):
    """By tokens, and by limbs, whose rows are put together again."""
    facts = undisturbed
    if strategy != "aegis":
        answer = aegis("layer", plan, "--insecure", "--json", "--strategy", strategy, "--seed", "layer")
        assert answer.status == 0, answer.err
        facts = json.loads(answer.out)
    stored = json.loads(plan.read_text())["strategies"][strategy]["plan"]
    assert facts["received_bytes"] == stored["received"]
    assert facts["predicted_received_bytes"] == stored["received"]
    assert any(facts["received_bytes"])
    assert facts["bits"] > 19
    assert facts["bits_of_approximations"] > 22
    assert 20 < facts["bits_of_noise"] < 27
    assert facts["secret_modules_in_workers"] == []
    assert set(facts["stages"]) >= {"qkv", "attend", "output", "expand", "contract", "refresh"}
    assert min(facts["stages"].values()) >= 0 < facts["seconds"]["devices"]
    memory = facts["predicted_memory_bytes"]
    assert memory["total"] == sum(stored["memory"].values())
    for held, predicted in zip(facts["held_bytes"], facts["predicted_held_bytes"], strict=True):
        assert held == pytest.approx(predicted, rel=0.05)
        assert held["total"] == sum(n for kind, n in held.items() if kind != "total")
    assert max(one["total"] for one in facts["held_bytes"]) == pytest.approx(memory["total"], rel=0.05)


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

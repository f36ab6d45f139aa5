"""`aegis bench replay` end to end: bytes and memory of every rank, a projection that follows from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_fhe.cli.main import main
from aegis_fhe.placement.evaluate import STAGES

from .conftest import TINY_PLAN, Answer
from .test_layer import changed

Aegis = Callable[..., Answer]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same layer on one device."""
    path = tmp_path_factory.mktemp("plan") / "alone.json"
    with pytest.raises(SystemExit) as left:
        main(["plan", *TINY_PLAN.replace("--devices 2 --compare", "--devices 1").split(), "-o", str(path)])
    assert left.value.code == 0
    return path


def check(facts: dict[str, Any]) -> None:
    """One device waits for nobody; of several the last takes at least what it computes; all bytes arrive."""
    one, two = facts["worlds"]
    assert (one["devices"], two["devices"]) == (1, 2)
    assert one["seconds"] == pytest.approx(one["computing"][0])
    assert one["waiting"] == pytest.approx(0, abs=1e-9)
    assert one["received_bytes"] == one["sent_bytes"] == [0]
    assert one["written_seconds"] == [0]
    assert sum(two["received_bytes"]) == sum(two["sent_bytes"]) > 0
    assert two["seconds"] >= max(two["computing"]) * (1 - 1e-9)
    assert facts["speedup"] == {"1": 1, "2": pytest.approx(one["seconds"] / two["seconds"])}
    assert facts["efficiency"]["2"] == pytest.approx(facts["speedup"]["2"] / 2)
    for world in facts["worlds"]:
        assert len(world["held_bytes"]) == len(world["computing"]) == world["devices"]
        assert set(world["stages"]) == set(STAGES)
        for held, predicted in zip(world["held_bytes"], world["predicted_held_bytes"], strict=True):
            assert (held["keys"], held["weights"]) == (predicted["keys"], predicted["weights"])
            assert held["total"] == pytest.approx(predicted["total"], rel=0.05)


def test_a_layer_is_planned_replayed_and_recorded(aegis: Aegis, tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    answer = aegis("bench", "replay", "--tokens", 32, "--worlds", "1,2", "--runs", 2, "--output", rows)
    assert answer.status == 0, answer.err
    (row,) = (json.loads(line) for line in rows.read_text().splitlines())
    check(row)
    assert (row["benchmark"], row["log_n"], row["tokens"], row["runs"]) == ("replay", 11, 32, 2)
    assert (row["link"], row["link_measured"]) == ("a100-nvlink", False)
    assert row["hardware"]["kernels"]
    assert row["commit"]
    printed = " ".join(answer.out.split())
    assert f"{row['speedup']['2']:.3f}" in printed
    assert f"{100 * row['efficiency']['2']:.1f} %" in printed
    for text in ("Projection: one layer of 32 tokens", "one by one, a100-nvlink", "not measured", "INSECURE"):
        assert text in printed, text


def test_plans_out_of_files_are_replayed(aegis: Aegis, alone: Path, plan: Path):
    answer = aegis("bench", "replay", "--plan", alone, "--plan", plan, "--no-record", "--json")
    assert answer.status == 0, answer.err
    facts = json.loads(answer.out)
    check(facts)
    stored = json.loads(plan.read_text())["strategies"]["aegis"]["plan"]
    received = [sum(n for *_, n in one) for one in stored["received"]]
    assert facts["worlds"][1]["received_bytes"] == received
    assert facts["model"] == "tiny"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--worlds", "2"], "rising from 1"),
        (["--worlds", "1,x"], "rising from 1"),
        (["--n", "16"], "replay takes 11 to 14, or --plan"),
        (["--link", "string"], "link 'string' is neither a file"),
        (["--plan", "nowhere.json"], "nowhere.json"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(aegis: Aegis, arguments: list[str], message: str):
    answer = aegis("bench", "replay", *arguments)
    assert answer.status == 2
    (line,) = answer.err.splitlines()
    assert message in line


def test_plans_that_say_nothing_of_each_other_are_refused(
    aegis: Aegis, alone: Path, plan: Path, tmp_path: Path
):
    answer = aegis("bench", "replay", "--plan", plan, "--plan", alone)
    assert (answer.status, answer.out) == (2, "")
    assert "plans for 2, 1 devices: expected one for 1 device first" in answer.err
    other = changed(plan, tmp_path / "other.json", lambda one: one.update(tokens=32))
    answer = aegis("bench", "replay", "--plan", alone, "--plan", other)
    assert (answer.status, answer.out) == (2, "")
    assert f"other.json is a plan for another layer or other links than {alone}" in answer.err

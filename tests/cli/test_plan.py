"""`aegis plan`: from shapes alone, every figure in one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aegis_fhe.cli.main import main
from aegis_fhe.cli.plan import parse_bytes
from aegis_fhe.errors import AegisError
from aegis_fhe.placement.ablation import DESCRIPTIONS

STRATEGIES = {"single", "limb_parallel", "replicated", "tensor_parallel", "token", "aegis"}
STAGES = {"attention", "ffn", "norms", "bootstraps", "total"}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(["plan", *arguments])
    assert exit_.value.code == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """One comparison for all tests: MiniLM on texts of 256 tokens, two devices."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    options = "--model minilm --tokens 256 --devices 2 --compare --device-memory 80GiB"
    with pytest.raises(SystemExit) as exit_:
        main(["plan", *options.split(), "--output", str(path)])
    assert exit_.value.code == 0
    return json.loads(path.read_text())


def test_every_promised_figure_is_there(written: dict):
    assert written["model"] == "minilm"
    assert (written["tokens"], written["devices"]) == (256, 2)
    assert written["parameters"]["limbs"] == 31
    assert set(written["strategies"]) == STRATEGIES
    for facts in written["strategies"].values():
        assert facts["fits"] is True
        assert set(facts["stages"]) == STAGES
        for stage in facts["stages"].values():
            assert set(stage) == {"bytes_received_per_device", "collectives", "exposed_seconds"}
        memory = facts["memory_bytes_per_device"]
        assert set(memory) == {"keys", "weights", "activations", "workspace", "total"}
        assert memory["total"] == sum(memory[name] for name in set(memory) - {"total"})
        share, whole = facts["memory_share_of_single"], written["one_device"]["single"]["memory_bytes"]
        assert share["with_keys"] == memory["total"] / whole
        assert share["without_keys"] > 0
        assert facts["efficiency"] == pytest.approx(facts["speedup"] / facts["devices"])
        assert 0 < facts["seconds"] <= facts["seconds_blocking"] * 1.001


def most_received(plan: dict) -> int:
    """By the rank that receives most."""
    return max(sum(count for *_, count in one) for one in plan["received"])


def test_every_strategy_has_a_plan_that_can_be_run(written: dict):
    for name, facts in written["strategies"].items():
        plan = facts["plan"]
        assert (plan["strategy"], plan["devices"]) == (name, 1 if name == "single" else 2)
        assert plan["parameters"]["fingerprint"] == written["parameters"]["fingerprint"]
        assert most_received(plan) == facts["stages"]["total"]["bytes_received_per_device"]
        assert sum(plan["memory"].values()) == facts["memory_bytes_per_device"]["total"]


def test_what_speed_up_is_against(written: dict):
    """The best program of one device without a limit, and whether it fits one."""
    reference = written["one_device"]
    assert set(reference) == {"rendering", "seconds", "memory_bytes", "fits", "single"}
    assert set(reference["single"]) == set(reference) - {"single"}
    assert reference["seconds"] <= reference["single"]["seconds"]
    assert reference["fits"] is (reference["memory_bytes"] <= 80 << 30)
    for facts in written["strategies"].values():
        assert facts["speedup"] == pytest.approx(reference["seconds"] / facts["seconds"])


def test_figures_agree_with_what_strategies_are(written: dict):
    found = written["strategies"]
    # The planner's one-device program adds up giant steps before it rescales: a little faster.
    assert 0.95 < found["single"]["speedup"] <= 1
    assert found["single"]["stages"]["total"]["bytes_received_per_device"] == 0
    assert found["single"]["stages"]["total"]["exposed_seconds"] == 0
    # Feed-forward networks mix no tokens; limbs mix in every key switch.
    assert found["token"]["stages"]["ffn"]["bytes_received_per_device"] == 0
    stages = found["limb_parallel"]["stages"]
    limbs = {name: stage["bytes_received_per_device"] for name, stage in stages.items()}
    assert min(limbs.values()) > 0
    for name in ("token", "tensor_parallel", "replicated"):
        own = found[name]["stages"]["total"]["bytes_received_per_device"]
        assert 0 < own < limbs["total"] / 4
        assert 0 < found[name]["speedup"] < 2.2
    assert "reduce_scatter" in found["tensor_parallel"]["stages"]["ffn"]["collectives"]
    # Each device has half of every key's limbs in Q, and all special ones.
    assert (
        found["limb_parallel"]["memory_bytes_per_device"]["keys"]
        < (found["single"]["memory_bytes_per_device"]["keys"])
    )


def test_the_plan_is_no_slower_than_any_strategy(written: dict):
    seconds = {name: facts["seconds"] for name, facts in written["strategies"].items()}
    assert seconds["aegis"] == min(seconds.values())


def test_one_strategy_as_json(capsys: pytest.CaptureFixture[str]):
    options = "--model minilm --tokens 128 --devices 2 --device-memory 80GiB --json --strategy token"
    text = run(capsys, *options.split())
    facts = json.loads(text)
    assert set(facts["strategies"]) == {"token"}


def test_limbs_of_the_published_system(capsys: pytest.CaptureFixture[str]):
    """35 + 4 limbs, 14 levels for a bootstrap; 9 digits of 4 limbs where it has 10."""
    options = "--model minilm --tokens 128 --devices 2 --device-memory 400GiB --parameters published --json"
    options += " --strategy token"
    facts = json.loads(run(capsys, *options.split()))
    found = facts["parameters"]
    assert (found["log_degree"], found["limbs"], found["special_limbs"]) == (16, 35, 4)
    assert (found["digits"], found["digit_limbs"], found["bootstrap_depth"]) == (9, 4, 14)
    assert found["levels_between_bootstraps"] == 18
    assert found["log_qp"] < 1747
    assert found["security_bits"] == 128
    assert facts["strategies"]["token"]["stages"]["total"]["bytes_received_per_device"] > 0


def test_explanations_are_printed_and_written(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    options = "--model minilm --tokens 128 --devices 2 --device-memory 80GiB --strategy tensor_parallel"
    path = tmp_path / "plan.json"
    text = run(capsys, *options.split(), "--explain", "--output", str(path))
    assert "kinds of collectives remain" in text
    assert "because matrix product contracts the feature axis of its features" in text
    assert "instead: computed again by every group that reads them; the whole layer then takes" in text
    (reasons,) = json.loads(path.read_text())["explanation"].values()
    for one in reasons:
        assert one["received_bytes"] > 0
        assert one["dependency"]
    assert any(one["alternatives"] for one in reasons)


def test_what_hides_exchanges_is_printed_and_written(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "plan.json"
    options = "--model minilm --tokens 256 --devices 2 --device-memory 80GiB --timeline --output"
    text = run(capsys, *options.split(), str(path))
    written = json.loads(path.read_text())
    (facts,), (own,) = written["timeline"].values(), written["strategies"].values()
    assert facts["planned"]["seconds"] == own["seconds"]
    waiting = {name: stage["exposed_seconds"] for name, stage in own["stages"].items() if name != "total"}
    assert facts["planned"]["exposed_seconds"] == waiting
    assert facts["without"]["overlap"]["seconds"] == own["seconds_blocking"]
    assert "early babies" in facts["without"]
    for name in facts["without"]:
        assert f"{name}: {DESCRIPTIONS[name]}." in " ".join(text.split())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(
            [
                "plan",
                *["--model", "minilm", "--tokens", "128", "--devices", "2", "--strategy", "token"],
                *arguments,
            ]
        )
    assert exit_.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_what_does_not_fit_says_by_how_much_and_what_would_help(capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, "--device-memory", "1GiB")
    assert "GiB more than 1.00 GiB" in line
    assert "keys: share limbs" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device-memory", "40"], "write it as 40GiB"),
        (["--strategy", "best"], "strategy 'best' is unknown"),
        (["--objective", "money"], "expected time, bytes or front"),
        (["--parameters", "theirs"], "expected ours or published"),
        (["--link", "carrier-pigeon"], "neither a file nor one of"),
        (["--device", "abacus"], "neither a file nor one of"),
        (["--devices", "64"], "use fewer devices for tokens"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str):
    assert message in refused(capsys, *arguments)


def test_unknown_model(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as exit_:
        main(["plan", "--model", "gpt-5"])
    assert exit_.value.code == 2
    assert "expected one of bert-base" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "count"), [("40GiB", 40 << 30), ("80 GB", 80 * 10**9), ("2.5TiB", 5 << 39), ("512MiB", 1 << 29)]
)
def test_amounts_of_memory(text: str, count: int):
    assert parse_bytes(text) == count
    with pytest.raises(AegisError):
        parse_bytes("-" + text)

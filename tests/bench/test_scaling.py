"""Several devices beside one: a layer of no security on processes of this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from aegis_fhe.bench.link_calibration import calibrate_link
from aegis_fhe.bench.scaling import World, measure_scaling
from aegis_fhe.cli.main import main
from aegis_fhe.placement.evaluate import STAGES

OPTIONS = ["bench", "scaling", "--n", "11", "--tokens", "32", "--runs", "1"]


@dataclass
class Timed:
    """A world whose runs take what is said."""

    devices: int
    takes: list[float]
    seconds: list[float] = field(default_factory=list)

    def run(self, threads: int) -> float:
        self.seconds.append(self.takes[len(self.seconds)])
        return self.seconds[-1]

    def facts(self) -> dict[str, Any]:
        return {"devices": self.devices}


def test_speedup_is_the_median_over_turns():
    """So a disturbance that meets one turn alone counts for nothing."""
    order = list[str]()
    worlds = Timed(1, [10.0, 10.0, 30.0]), Timed(2, [6.0, 5.0, 5.0])
    found = measure_scaling(cast("list[World]", [*worlds]), runs=3, threads=1, say=order.append)
    assert found["speedup"] == {"1": 1.0, "2": 2.0}
    assert found["efficiency"] == {"1": 1.0, "2": 1.0}
    assert [line.split(", ")[1][0] for line in order] == ["1", "2"] * 3


def test_worlds_take_turns_and_are_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = tmp_path / "rows.jsonl"
    with pytest.raises(SystemExit) as exit_:
        main([*OPTIONS, "--no-project", "--output", str(rows)])
    assert exit_.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    (row,) = (json.loads(line) for line in rows.read_text().splitlines())
    one, two = row["worlds"]
    assert (one["devices"], two["devices"]) == (1, 2)
    for world in (one, two):
        assert len(world["seconds"]) == 1
        assert set(world["stages"]) == set(STAGES)
        measured = sum(stage["seconds"] for stage in world["stages"].values())
        assert measured == pytest.approx(max(world["seconds"]), rel=0.5)
        assert world["held_bytes"] == pytest.approx(world["predicted_held_bytes"], rel=0.05)
        assert world["bits"] > 12
        assert 0 <= world["waiting"] < 1
        comparison = world["comparison"]
        assert comparison["machine"]["measured"]
        assert comparison["threads"] == comparison["machine"]["threads"] == 1
        total = comparison["stages"]["total"]
        assert 0 < total["predicted"]["total"] <= world["predicted_seconds"] * (1 + 1e-9)
        assert total["measured"]["total"] <= comparison["run_seconds"] == max(world["seconds"])
    assert one["received_bytes"] == 0 < two["received_bytes"]
    gain = one["seconds"][0] / two["seconds"][0]
    assert row["speedup"] == {"1": 1, "2": pytest.approx(gain)}
    assert row["efficiency"]["2"] == pytest.approx(row["speedup"]["2"] / 2)
    assert f"{row['speedup']['2']:.3f}" in printed
    ceiling = row["ceiling"]
    assert ceiling["copies"] == 2
    assert ceiling["speedup"] == pytest.approx(2 * one["seconds"][0] / ceiling["seconds"])
    assert "Parameters of no security" in printed
    assert printed.count("Predicted for this machine (measured at N = 2^11") == 2


def test_a_link_between_processes_has_a_rate_and_a_latency():
    link = calibrate_link(rounds=3)
    assert 1e7 < link.bytes_per_second < 1e12
    assert 1e-6 < link.latency_seconds < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--worlds", "2"], "rising from 1"),
        (["--worlds", "1,x"], "rising from 1"),
        (["--worlds", "1,4096"], "this process may use"),
        (["--n", "16"], "scaling takes 11 to 14"),
        (["--runs", "0"], "at least 1 is needed"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "scaling", *arguments])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line

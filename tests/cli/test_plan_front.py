"""`aegis plan --objective front`: a table, a drawing and JSON of the same points."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from aegis_fhe.cli.main import main
from aegis_fhe.observe.table import format_bytes

from .test_plan import most_received

OPTIONS = ["plan", "--model", "minilm", "--tokens", "64", "--devices", "2", "--objective", "front"]


def test_points_are_printed_drawn_and_written(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    plot, output = tmp_path / "front.svg", tmp_path / "front.json"
    with pytest.raises(SystemExit) as exit_:
        main([*OPTIONS, "--device-memory", "80GiB", "--plot", str(plot), "--output", str(output)])
    assert exit_.value.code == 0
    text, facts = capsys.readouterr().out, json.loads(output.read_text())
    assert (facts["objective"], facts["strategies"]) == ("front", {})
    points = facts["front"]
    assert len(points) > 3
    for before, after in itertools.pairwise(points):
        assert before["seconds"] < after["seconds"]
        assert before["bytes_received_per_device"] > after["bytes_received_per_device"]
    for number, point in enumerate(points, 1):
        assert point["bytes_received_per_device"] == point["stages"]["total"]["bytes_received_per_device"]
        assert point["efficiency"] == pytest.approx(facts["one_device"]["seconds"] / point["seconds"] / 2)
        assert point["memory_bytes_per_device"]["total"] <= 80 << 30
        assert point["bytes_received_per_device"] == most_received(point["plan"])
        assert len(point["ways"]) == len(points[0]["ways"]) > 10
        assert format_bytes(point["bytes_received_per_device"]) in text
        assert (f"{number}, unlike {number - 1}, has " in text) is (number > 1)
    assert "at most 12 points" in " ".join(text.split())
    root = ET.parse(plot).getroot()
    marks = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(marks) == len(points) + 1  # and the legend's


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategy", "token"], "strategy 'token' has no front"),
        (["--explain"], "--explain explains one plan"),
        (["--timeline"], "--timeline is of one plan"),
        (["--plot", "front.png"], "--plot writes SVG, not .png"),
        (["--objective", "bytes", "--plot", "front.svg"], "add --objective front"),
        (["--objective", "money"], "expected time, bytes or front"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
):
    with pytest.raises(SystemExit) as exit_:
        main([*OPTIONS, *arguments])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line

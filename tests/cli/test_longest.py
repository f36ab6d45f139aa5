"""`aegis longest`: tables, a drawing and JSON of the same lengths."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from aegis_fhe.cli.main import main

# A layer of no security that is planned in a moment.
OPTIONS = ["longest", "--model", "tiny", "--parameters", "tiny", "--insecure", "--most", "384"]


def test_lengths_are_printed_drawn_and_written(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    plot, output = tmp_path / "longest.svg", tmp_path / "longest.json"
    options = ["--devices", "1,2", "--memory", "1KiB,64GiB", "--plot", str(plot), "-o", str(output)]
    with pytest.raises(SystemExit) as exit_:
        main([*OPTIONS, *options])
    assert exit_.value.code == 0
    text, facts = " ".join(capsys.readouterr().out.split()), json.loads(output.read_text())
    assert facts["tokens_tried"] == [128, 192, 256, 384]
    assert len(facts["longest"]) == 2 * 6 * 2
    for one in facts["longest"]:
        assert one["tokens"] == (384 if one["memory_bytes"] == 64 << 30 else None)
    for one in facts["least_memory"]:
        memory = one["memory_bytes_per_device"]
        assert memory["total"] == sum(memory[name] for name in set(memory) - {"total"})
        assert 1024 < memory["total"] < 64 << 30
    assert "fits 64.00 GiB a device" in text
    assert "aegis >= 384 >= 384" in text
    assert "aegis none none" in text
    assert "of one layer" in text
    root = ET.parse(plot).getroot()
    # Nothing fits the smaller memory; two points and a mark in the legend for each strategy.
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 6 * 3


def test_some_strategies_as_json(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as exit_:
        main([*OPTIONS, "--strategy", "token, aegis", "--devices", "2", "--memory", "64GiB", "--json"])
    assert exit_.value.code == 0
    facts = json.loads(capsys.readouterr().out)
    assert [one["strategy"] for one in facts["longest"]] == ["token", "aegis"]
    assert {one["tokens"] for one in facts["least_memory"]} == {384}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--devices", "1,many"], "'many' is no number of devices"),
        (["--devices", "0"], "write 1 to 1024"),
        (["--memory", "40GiB,80"], "write it as 40GiB"),
        (["--strategy", "token,best"], "strategy 'best' is unknown"),
        (["--plot", "longest.png"], "--plot writes SVG, not .png"),
        (["--model", "gpt-5"], "expected one of bert-base"),
        (["--parameters", "theirs"], "expected ours or published"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str):
    with pytest.raises(SystemExit) as exit_:
        main([*OPTIONS, *arguments])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_nothing_to_draw_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    options = ["--strategy", "single", "--devices", "1", "--memory", "1KiB"]
    with pytest.raises(SystemExit) as exit_:
        main([*OPTIONS, *options, "--plot", str(tmp_path / "longest.svg")])
    assert exit_.value.code == 2
    assert "no length that was tried fits: give more memory" in " ".join(capsys.readouterr().err.split())

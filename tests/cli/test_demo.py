"""`aegis demo` end to end on a tiny checkpoint, `aegis worker` on what it kept, and bad input to both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_fhe.cli import demo as demo_module
from aegis_fhe.cli import encrypted_run as run_module
from aegis_fhe.cli.sample_lines import sample_lines
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.placement.plan import plan_tokens
from aegis_fhe.ring import native
from aegis_fhe.runtime.launch import LaunchOptions
from aegis_fhe.service import job as job_module
from program.encoder.tiny_encoder import tiny_encoder
from service.stand_in import stand_in

from .conftest import Answer

Aegis = Callable[..., Answer]

PROMISED = {
    "similarity": float,
    "similarity_clear": float,
    "cosine_min": float,
    "max_abs_error": float,
    "seconds": float,
    "bytes_between_devices": int,
    "peak_memory_bytes": int,
    "predicted_peak_memory_bytes": int,
    "security_bits": int,
    "result_digest": str,
}
SENTENCE = "only these eleven words of a sentence are encrypted and sent"
OTHER = "and these seven words are the second"
BOTH = ("--text", SENTENCE, "--text", OTHER)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command meets a tiny checkpoint; two token blocks of 8 on a ring without security."""
    layers, program = tiny_encoder(16, mean=True)
    real_load = TextEncoder.load
    monkeypatch.setattr(
        TextEncoder, "load", lambda folder: stand_in(layers) if folder is None else real_load(folder)
    )
    monkeypatch.setattr(demo_module, "compile_sentence_encoder", lambda encoder, calibration: program)
    monkeypatch.setattr(LaunchOptions, "threads_per_worker", 1)
    return program


def test_demo_and_worker_agree_and_print_what_they_promise(aegis: Aegis, tiny: Any, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    answer = aegis("demo", *BOTH, "--seed", "word", "--keep", folder, "--json")
    assert answer.status == 0, answer.err
    assert answer.out.count("\n") == 1
    facts = json.loads(answer.out)
    assert {name: type(facts[name]) for name in PROMISED} == PROMISED
    assert facts["cosine_min"] > 0.9999
    assert abs(facts["similarity"] - facts["similarity_clear"]) < 1e-3
    assert 0 < facts["max_abs_error_of_noise"] < 1e-4
    assert facts["max_abs_error_of_noise"] < facts["max_abs_error"] < 1e-2
    assert facts["bytes_between_devices"] == facts["predicted_bytes_between_devices"] == 0
    assert facts["peak_memory_bytes"] >= max(facts["peak_memory_bytes_by_worker"]) > 50 << 20
    assert facts["predicted_peak_memory_bytes"] == max(facts["predicted_peak_memory_bytes_by_worker"])
    assert facts["predicted_peak_memory_bytes"] > facts["file_bytes"]["keys.aegis"]
    assert (facts["tokens"], facts["devices"]) == ([11, 7], 1)
    assert facts["outside_ranges"] == [[], []]
    assert "WARNING" not in answer.err
    assert facts["security_bits"] == tiny.params.security_bits < 128
    assert facts["kernels"] == tiny.params.ring.path
    names = ["input-0.aegis", "input-1.aegis", "keys.aegis", "program.aegis"]
    names += ["result-0-0.aegis", "result-1-0.aegis"]
    assert sorted(facts["file_bytes"]) == names == sorted(path.name for path in folder.iterdir())
    assert "INSECURE" in answer.err
    assert "derived from --seed" in answer.err

    answer = aegis("worker", folder, "--devices", 2, "--json")
    assert answer.status == 0, answer.err
    again = json.loads(answer.out)
    assert again["result_digests"] == facts["result_digests"]
    assert len(set(again["result_digests"])) == 2
    predicted = 2 * plan_tokens(tiny, 2).bytes_between_devices()
    assert again["kernels"] == facts["kernels"]
    assert again["bytes_between_devices"] == again["predicted_bytes_between_devices"] == predicted > 0


@pytest.mark.usefixtures("tiny")
def test_kernels_are_chosen_and_change_no_bit(aegis: Aegis, tmp_path: Path) -> None:
    digests = set()
    for path in dict.fromkeys([native.available_paths()[0], "portable"]):
        answer = aegis("demo", *BOTH, "--seed", "word", "--json", "--kernels", path)
        assert answer.status == 0, answer.err
        facts = json.loads(answer.out)
        assert facts["kernels"] == path
        digests.add(facts["result_digest"])
    assert len(digests) == 1


def one_line(answer: Answer, *words: str) -> None:
    """Bad input: status 2, one line on standard error, nothing on standard output."""
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("aegis: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--text", SENTENCE, "--text", ""], ["empty"]),
        (["--text", " \n\t", "--text", SENTENCE], ["empty"]),
        (["--text", SENTENCE], ["two texts", "1 given"]),
        (["--text", "word " * 100, "--text", SENTENCE], ["100 tokens", "1 to 16"]),
        (["--text", SENTENCE, "--text", "word " * 17], ["17 tokens"]),
        ([*BOTH, "--kernels", "sse9"], ["'sse9'", "available", "portable"]),
        ([*BOTH, "--devices", "3"], ["3 devices", "1 to 2"]),
        ([*BOTH, "--model", "/nonexistent"], ["/nonexistent", "folder", "Hugging Face"]),
        ([*BOTH, "--calibration", "/nonexistent"], ["/nonexistent", "not a file"]),
    ],
    ids=str,
)
@pytest.mark.usefixtures("tiny")
def test_bad_input_is_one_line_and_no_file(
    arguments: list[str], words: list[str], aegis: Aegis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "run_session", lambda *args, **kwargs: pytest.fail("work began"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one_line(aegis("demo", *arguments, "--keep", tmp_path / "kept"), *words)
    one_line(aegis("demo", *arguments, "--json"), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_too_little_memory_is_one_line_and_no_file(
    aegis: Aegis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "available_bytes", lambda: 300 << 20)
    one_line(aegis("demo", *BOTH, "--keep", tmp_path / "kept"), "GiB", "0.3 GiB are available")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_a_folder_that_cannot_be_one_is_refused_before_the_work(
    aegis: Aegis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "run_session", lambda *args, **kwargs: pytest.fail("work began"))
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        one_line(aegis("demo", *BOTH, "--keep", place), str(place))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.usefixtures("tiny")
def test_samples_that_are_no_text_are_refused(aegis: Aegis, tmp_path: Path) -> None:
    (tmp_path / "samples").write_bytes(b"\xff\xfe\x00")
    one_line(aegis("demo", "--calibration", tmp_path / "samples"), "UTF-8")


def test_samples_are_lines_without_the_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "samples").write_text("first text\n\n  \nsecond\n", encoding="utf-8")
    assert sample_lines(tmp_path / "samples") == ["first text", "second"]
    assert sample_lines(None) == []


@pytest.mark.usefixtures("tiny")
def test_verbose_shows_where_it_failed(aegis: Aegis) -> None:
    answer = aegis("demo", "--text", "", "--text", OTHER, "-v")
    assert answer.status == 2
    assert "Traceback" in answer.err
    assert answer.err.splitlines()[-1].startswith("aegis: the text is empty")


def test_worker_refuses_a_folder_without_a_job(aegis: Aegis, tmp_path: Path) -> None:
    one_line(aegis("worker", tmp_path), "program.aegis", "cannot be read")
    (tmp_path / "program.aegis").write_bytes(b"no program at all")
    one_line(aegis("worker", tmp_path), "program.aegis", "not an AEGIS file")
    assert [path.name for path in tmp_path.iterdir()] == ["program.aegis"]

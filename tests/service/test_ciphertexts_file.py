"""Files of ciphertexts: what the client wrote is what a worker gets, and what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aegis_fhe.ckks import Ciphertext
from aegis_fhe.ckks.ciphertext import SeededCiphertext
from aegis_fhe.ckks.secret import SecretKey, decrypt
from aegis_fhe.errors import AegisError, CompatibilityError, ContainerError, LayoutError, RangeError
from aegis_fhe.service.ciphertexts_file import (
    INPUT_KIND,
    EncryptedInput,
    JobFacts,
    load_input,
    load_results,
    result_digest,
    save_input,
    save_results,
)
from aegis_fhe.service.client import Client
from aegis_fhe.service.container import ContainerReader, ContainerWriter
from program.tiny import tiny_program

from .conftest import SEED, Job

Results = dict[str, Ciphertext]


def facts_of(job: Job, **changes: Any) -> JobFacts:
    program = job.program
    facts = {"program": program.fingerprint, "parameters": program.params.fingerprint(), "tokens": 16}
    return JobFacts(**{**facts, **changes})


def first_block(job: Job) -> SeededCiphertext:
    return load_input(job.program, job.files.inputs[0]).blocks["x[0]"]


def with_first(job: Job, path: Path, **changes: Any) -> Path:
    """The job's input with its first block changed."""
    given = load_input(job.program, job.files.inputs[0])
    blocks = {**given.blocks, "x[0]": replace(given.blocks["x[0]"], **changes)}
    save_input(EncryptedInput(given.facts, blocks), path)
    return path


def test_input_decrypts_to_the_packed_hidden_states(job: Job) -> None:
    given = load_input(job.program, job.files.inputs[0])
    assert given.facts == facts_of(job)
    assert list(given.blocks) == job.program.input_names()
    secret = SecretKey.generate(job.program.params, seed=SEED)
    for block, values in zip(given.blocks.values(), job.program.pack(job.hidden), strict=True):
        assert block.level == job.program.params.max_level
        found = decrypt(secret, block.expand(job.program.params)).real.values
        assert 0 < np.abs(found - values).max() < 1e-6


def test_equal_seeds_give_equal_files_and_no_seed_never_does(job: Job, tmp_path: Path) -> None:
    Client(job.program, seed=SEED).write_input(job.hidden, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == job.files.inputs[0].read_bytes()
    client = Client(job.program)
    texts = [load_after_write(client, job, tmp_path / name) for name in ("b", "c")]
    seeds = [block.seed for text in texts for block in text.blocks.values()]
    assert len(set(seeds)) == len(seeds) == 4
    assert not torch.equal(texts[0].blocks["x[0]"].body, texts[1].blocks["x[0]"].body)


def load_after_write(client: Client, job: Job, path: Path) -> EncryptedInput:
    client.write_input(job.hidden, path)
    return load_input(job.program, path)


@pytest.mark.parametrize(
    ("shape", "error"),
    [((17, 32), RangeError), ((0, 32), RangeError), ((16, 31), LayoutError), ((16,), LayoutError)],
    ids=str,
)
def test_hidden_states_that_do_not_fit_leave_no_file(
    shape: tuple[int, ...], error: type[AegisError], job: Job, tmp_path: Path
) -> None:
    with pytest.raises(error):
        job.client.write_input(np.zeros(shape), tmp_path / "i")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e30])
def test_numbers_that_cannot_be_encrypted_leave_no_file(value: float, job: Job, tmp_path: Path) -> None:
    hidden = job.hidden.copy()
    hidden[3, 5] = value
    with pytest.raises(AegisError):
        job.client.write_input(hidden, tmp_path / "i")
    assert list(tmp_path.iterdir()) == []


def test_input_for_another_program_is_refused(job: Job) -> None:
    _, _, same_parameters = tiny_program(16, 10, 0.25)
    assert same_parameters.params == job.program.params
    with pytest.raises(CompatibilityError, match="another program"):
        load_input(same_parameters, job.files.inputs[0])


def test_input_under_other_parameters_is_refused(job: Job) -> None:
    _, _, other = tiny_program(16, 11)
    with pytest.raises(CompatibilityError, match="other parameters"):
        load_input(other, job.files.inputs[0])


@pytest.mark.parametrize("tokens", [0, -1, 17, 2**62])
def test_a_length_that_the_program_does_not_take_is_refused(tokens: int, job: Job, tmp_path: Path) -> None:
    given = load_input(job.program, job.files.inputs[0])
    save_input(EncryptedInput(facts_of(job, tokens=tokens), given.blocks), tmp_path / "i")
    with pytest.raises(RangeError, match="compiled for 1 to 16"):
        load_input(job.program, tmp_path / "i")


@pytest.mark.parametrize("factor", [0.5, 1 + 2**-52, -1.0, 0.0])
def test_another_scale_is_refused(factor: float, job: Job, tmp_path: Path) -> None:
    path = with_first(job, tmp_path / "i", scale=job.program.params.scale * factor)
    with pytest.raises(CompatibilityError, match="another scale"):
        load_input(job.program, path)


@pytest.mark.parametrize("cut", [np.s_[:-1], np.s_[:, :-1], np.s_[None], np.s_[:0]], ids=str)
def test_another_shape_is_refused(cut: Any, job: Job, tmp_path: Path) -> None:
    path = with_first(job, tmp_path / "i", body=first_block(job).body[cut])
    with pytest.raises(CompatibilityError, match=r"x\[0\] has shape"):
        load_input(job.program, path)


@pytest.mark.parametrize("limb", [0, 7, -1])
@pytest.mark.parametrize("above", [True, False])
def test_residues_outside_their_modulus_are_refused(limb: int, above: bool, job: Job, tmp_path: Path) -> None:
    body = first_block(job).body.clone()
    body[limb, 100] = job.program.params.q[limb] if above else -1
    with pytest.raises(CompatibilityError, match=r"x\[0\] holds residues outside"):
        load_input(job.program, with_first(job, tmp_path / "i", body=body))


@pytest.mark.parametrize("names", [["x[0]"], ["x[0]", "x[1]", "x[2]"], ["x[0]", "y[1]"], []], ids=str)
def test_too_few_too_many_or_other_blocks_are_refused(names: list[str], job: Job, tmp_path: Path) -> None:
    block = first_block(job)
    save_input(EncryptedInput(facts_of(job), dict.fromkeys(names, block)), tmp_path / "i")
    with pytest.raises(CompatibilityError, match="holds blocks"):
        load_input(job.program, tmp_path / "i")


@pytest.mark.parametrize(
    "metadata",
    [{}, {"scale": 2.0**40}, {"scale": "x", "seed": "00" * 32}, {"scale": 2.0**40, "seed": "0g" * 32}],
    ids=str,
)
def test_blocks_described_wrongly_are_refused(metadata: dict[str, Any], job: Job, tmp_path: Path) -> None:
    header = {
        "program": job.program.fingerprint,
        "parameters": job.program.params.fingerprint(),
        "tokens": 16,
    }
    with ContainerWriter(tmp_path / "i", INPUT_KIND, header) as writer:
        writer.add("x[0]", {"body": first_block(job).body}, metadata)
    with pytest.raises(ContainerError, match=r"x\[0\]"):
        load_input(job.program, tmp_path / "i")


@pytest.mark.parametrize("change", [{"tokens": "16"}, {"tokens": None}, {"text": "a secret"}], ids=str)
def test_a_header_described_wrongly_is_refused(change: dict[str, Any], job: Job, tmp_path: Path) -> None:
    with ContainerReader(job.files.inputs[0], INPUT_KIND) as reader:
        header = {**reader.metadata, **change}
    with ContainerWriter(tmp_path / "i", INPUT_KIND, header):
        pass
    with pytest.raises(ContainerError, match="not described"):
        load_input(job.program, tmp_path / "i")


def save_apart(job: Job, results: Results, folder: Path) -> list[Path]:
    """Each result in a file of its own, as two workers write them; the last one first."""
    paths = []
    for number, (name, result) in enumerate(reversed(results.items())):
        paths.append(folder / f"result-{number}.aegis")
        save_results(facts_of(job), {name: result}, paths[-1])
    return paths


def test_results_of_all_workers_come_back_in_the_programs_order(
    job: Job, results: Results, tmp_path: Path
) -> None:
    loaded = load_results(job.program, save_apart(job, results, tmp_path))
    assert list(loaded) == list(job.program.graph.results)
    assert all(torch.equal(loaded[name].parts, results[name].parts) for name in results)
    assert result_digest(job.program.params, loaded) == result_digest(job.program.params, results)


def test_a_missing_result_is_refused(job: Job, results: Results, tmp_path: Path) -> None:
    paths = save_apart(job, results, tmp_path)
    with pytest.raises(CompatibilityError, match="missing"):
        load_results(job.program, paths[:1])
    with pytest.raises(ContainerError, match="cannot be read"):
        load_results(job.program, [*paths, tmp_path / "result-2.aegis"])


def test_a_result_in_two_files_is_refused(job: Job, results: Results, tmp_path: Path) -> None:
    paths = save_apart(job, results, tmp_path)
    with pytest.raises(CompatibilityError, match="already"):
        load_results(job.program, [*paths, paths[0]])


def test_results_that_do_not_fit_are_refused(job: Job, results: Results, tmp_path: Path) -> None:
    name, good = next(iter(results.items()))
    too_large, negative = good.parts.clone(), good.parts.clone()
    too_large[1, 0, 5] = job.program.params.q[0]
    negative[0, 0, 5] = -1
    three = torch.cat([good.parts, good.parts[:1]])
    cases: list[tuple[str, Ciphertext, JobFacts, str]] = [
        ("x[0]", good, facts_of(job), "no result of the program"),
        (name, replace(good, scale=good.scale * 2), facts_of(job), "another scale"),
        (name, replace(good, parts=too_large), facts_of(job), "outside"),
        (name, replace(good, parts=negative), facts_of(job), "outside"),
        (name, replace(good, parts=three), facts_of(job), "has shape"),
        (name, replace(good, parts=good.parts[:, :, ::2].contiguous()), facts_of(job), "has shape"),
        (name, good, facts_of(job, program="0" * 64), "another program"),
        (name, good, facts_of(job, parameters="0" * 64), "other parameters"),
        (name, good, facts_of(job, tokens=17), "17 tokens"),
    ]
    for number, (written, result, facts, message) in enumerate(cases):
        path = tmp_path / f"{number}.aegis"
        save_results(facts, {written: result}, path)
        with pytest.raises(AegisError, match=message):
            load_results(job.program, [path])


def test_an_input_file_is_no_result(job: Job) -> None:
    with pytest.raises(ContainerError, match="kind"):
        load_results(job.program, [job.files.inputs[0]])


def test_digest_sees_every_residue_scale_and_name(job: Job, results: Results) -> None:
    params = job.program.params
    (first, one), (second, two) = results.items()
    flipped = one.parts.clone()
    flipped[-1, -1, -1] ^= 1
    variants = [
        results,
        {first: replace(one, parts=flipped), second: two},
        {first: replace(one, scale=float(np.nextafter(one.scale, np.inf))), second: two},
        {first: two, second: one},
        {second: two, first: one},
        {first: one},
    ]
    digests = [result_digest(params, variant) for variant in variants]
    assert len(set(digests)) == len(variants)
    assert (
        result_digest(params, {name: replace(r, parts=r.parts.clone()) for name, r in results.items()})
        == digests[0]
    )

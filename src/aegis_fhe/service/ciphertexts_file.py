"""Ciphertexts as files: fresh ones of the client (half as seeds), and results of the workers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from aegis_fhe.ckks.ciphertext import Ciphertext, SeededCiphertext
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CompatibilityError, ContainerError
from aegis_fhe.program.served import ServedProgram
from aegis_fhe.service.container import ContainerReader, ContainerWriter
from aegis_fhe.service.residues import check_residues

INPUT_KIND = "inputs"
RESULT_KIND = "results"


class JobFacts(msgspec.Struct, forbid_unknown_fields=True):
    """What a file of ciphertexts belongs to. tokens: length of the text, public."""

    program: str
    parameters: str
    tokens: int


class CiphertextFacts(msgspec.Struct, forbid_unknown_fields=True):
    """Of one ciphertext in a file. seed: of its uniform half, where that is not in the file."""

    scale: float
    seed: str = ""


@dataclass(frozen=True)
class EncryptedInput:
    """The client's text: one fresh ciphertext for each token block."""

    facts: JobFacts
    blocks: dict[str, SeededCiphertext]


def save_input(job: EncryptedInput, path: Path) -> None:
    """Writes the body and the seed of every block."""
    with ContainerWriter(path, INPUT_KIND, msgspec.to_builtins(job.facts)) as writer:
        for name, block in job.blocks.items():
            facts = {"scale": block.scale, "seed": block.seed.hex()}
            writer.add(name, {"body": block.body}, metadata=facts)


def load_input(program: ServedProgram, path: Path) -> EncryptedInput:
    """Every block of the program at its input level and scale.

    Raises ContainerError or CompatibilityError.
    """
    params = program.params
    with ContainerReader(path, INPUT_KIND) as reader:
        facts = job_facts(program, reader.metadata, path)
        blocks = {}
        for name, tensors, metadata in reader:
            ciphertext = ciphertext_facts(metadata, path, name)
            seed = _seed(ciphertext, path, name)
            if set(tensors) != {"body"}:
                raise ContainerError(f"{path}: {name} holds {sorted(tensors)}, expected a body")
            check_residues(
                tensors["body"], params, params.q_limbs(program.input_level), (), f"{path}: {name}"
            )
            if ciphertext.scale != params.scale:
                raise CompatibilityError(f"{path}: {name} has another scale than the program's inputs")
            blocks[name] = SeededCiphertext(body=tensors["body"], seed=seed, scale=ciphertext.scale)
    if set(blocks) != set(program.input_names()):
        raise CompatibilityError(f"{path} holds blocks {sorted(blocks)}, expected {program.input_names()}")
    return EncryptedInput(facts, blocks)


def save_results(facts: JobFacts, results: Mapping[str, Ciphertext], path: Path) -> None:
    """Writes the result ciphertexts of one worker."""
    with ContainerWriter(path, RESULT_KIND, msgspec.to_builtins(facts)) as writer:
        for name, result in results.items():
            writer.add(name, {"parts": result.parts}, metadata={"scale": result.scale})


def load_results(program: ServedProgram, paths: Iterable[Path]) -> dict[str, Ciphertext]:
    """All results, from the files of all workers, at the levels and scales the program states."""
    symbols, params = program.result_symbols(), program.params
    results: dict[str, Ciphertext] = {}
    for path in paths:
        with ContainerReader(path, RESULT_KIND) as reader:
            job_facts(program, reader.metadata, path)
            for name, tensors, metadata in reader:
                facts = ciphertext_facts(metadata, path, name)
                if name not in symbols or set(tensors) != {"parts"}:
                    raise CompatibilityError(f"{path}: {name} is no result of the program")
                if name in results:
                    raise CompatibilityError(f"{path}: {name} is in another worker's file already")
                limbs = params.q_limbs(symbols[name].level)
                check_residues(tensors["parts"], params, limbs, (2,), f"{path}: {name}")
                if facts.scale != symbols[name].scale:
                    raise CompatibilityError(f"{path}: {name} has another scale than the program states")
                results[name] = Ciphertext(parts=tensors["parts"], scale=facts.scale)
    missing = set(symbols) - set(results)
    if missing:
        raise CompatibilityError(f"results {sorted(missing)} are missing: a worker did not finish")
    return {name: results[name] for name in symbols}


def result_digest(params: Parameters, results: Mapping[str, Ciphertext]) -> str:
    """SHA-256 over parameters, names and residues of the results, in order: equal bits, equal digest."""
    digest = hashlib.sha256(params.fingerprint().encode())
    for name, result in results.items():
        digest.update(f"{name} {list(result.parts.shape)} {result.scale.hex()}\n".encode())
        digest.update(result.parts.cpu().contiguous().numpy().data.cast("B"))
    return digest.hexdigest()


def job_facts(program: ServedProgram, metadata: Any, path: Path) -> JobFacts:
    """Raises ContainerError, and CompatibilityError for a file of another program or other parameters."""
    try:
        facts = msgspec.convert(metadata, JobFacts)
    except msgspec.ValidationError as error:
        raise ContainerError(f"{path} is not described as ciphertexts should be: {error}") from error
    if facts.parameters != program.params.fingerprint():
        raise CompatibilityError(f"{path} was encrypted under other parameters than the program's")
    if facts.program != program.fingerprint:
        raise CompatibilityError(f"{path} was made for another program: encrypt the text for this one")
    program.check_tokens(facts.tokens)
    return facts


def ciphertext_facts(metadata: Any, path: Path, name: str) -> CiphertextFacts:
    """Raises ContainerError."""
    try:
        return msgspec.convert(metadata, CiphertextFacts)
    except msgspec.ValidationError as error:
        raise ContainerError(f"{path}: {name} is not described as a ciphertext should be: {error}") from error


def _seed(facts: CiphertextFacts, path: Path, name: str) -> bytes:
    try:
        seed = bytes.fromhex(facts.seed)
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise ContainerError(f"{path}: {name} has no seed of 32 bytes")
    return seed

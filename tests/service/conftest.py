"""One job on the tiny program, its files written once; and a single device inside this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from aegis_fhe.ckks import Ciphertext, Evaluator, Parameters, presets
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.service.ciphertexts_file import load_input
from aegis_fhe.service.client import Client
from aegis_fhe.service.job import JobFiles
from aegis_fhe.service.keys_file import load_keys
from aegis_fhe.service.program_file import load_program, save_program
from program.tiny import tiny_program

SEED = bytes(range(32))


@dataclass(frozen=True)
class Job:
    """A program, a text of the length it takes, its client, and the files that the client wrote."""

    module: torch.nn.Module
    hidden: np.ndarray
    program: CompiledProgram
    client: Client
    files: JobFiles


def write_job(program: CompiledProgram, client: Client, hidden: np.ndarray, folder: Path) -> JobFiles:
    """What a client does before the workers start."""
    folder.mkdir(parents=True, exist_ok=True)
    files = JobFiles(folder=folder)
    save_program(program, files.program)
    client.write_keys(files.keys)
    client.write_input(hidden, files.inputs[0])
    return files


def run_in_process(files: JobFiles) -> dict[str, Ciphertext]:
    """The whole graph on one device, without plan, executor or worker."""
    program = load_program(files.program)
    job = load_input(program, files.inputs[0])
    evaluator = Evaluator(program.params, load_keys(program.params, program.key_requests(), files.keys))
    inputs = {name: block.expand(program.params) for name, block in job.blocks.items()}
    return run_graph(program.graph, evaluator, inputs, program.context(job.facts.tokens))


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """16 tokens in two blocks, N = 2^10: the smallest ring that holds the tiny program."""
    module, hidden, program = tiny_program(16, 10)
    client = Client(program, seed=SEED)
    return Job(
        module, hidden, program, client, write_job(program, client, hidden, tmp_path_factory.mktemp("job"))
    )


@pytest.fixture(scope="session")
def small() -> Parameters:
    """For files of keys that need no program: N = 2^5, two digits."""
    return presets.insecure(log_degree=5, levels=2, digit_size=2)


def random_residues(params: Parameters, level: int, components: int, seed: int) -> torch.Tensor:
    """Uniform [component, limb, N] at a level."""
    generator = np.random.default_rng(seed)
    rows = [
        generator.integers(0, params.q[limb], (components, params.degree)) for limb in params.q_limbs(level)
    ]
    return torch.from_numpy(np.stack(rows, axis=1))


@pytest.fixture(scope="session")
def results(job: Job) -> dict[str, Ciphertext]:
    """Ciphertexts of the shapes and scales that the program's results have."""
    symbols = job.program.symbols()
    return {
        name: Ciphertext(
            parts=random_residues(job.program.params, symbols[name].level, 2, index),
            scale=symbols[name].scale,
        )
        for index, name in enumerate(job.program.graph.results)
    }

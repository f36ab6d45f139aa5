"""The client: owns the secret key, writes keys and ciphertexts, reads results.

No worker imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.secret import SecretKey, decrypt, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import LayoutError
from aegis_fhe.program.results import Result
from aegis_fhe.program.served import ServedProgram
from aegis_fhe.ring import native
from aegis_fhe.service.ciphertexts_file import (
    EncryptedInput,
    JobFacts,
    load_results,
    result_digest,
    save_input,
)
from aegis_fhe.service.keys_file import save_keys

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class DecryptedResult(Result):
    """Read from ciphertexts. digest: of their residues."""

    digest: str


class Client:
    """One secret key for one program. What it computes it computes on this machine's processor.

    seed: makes key and ciphertexts reproducible, for tests and demonstrations only; without it everything
    comes from the operating system's generator.
    """

    def __init__(self, program: ServedProgram, *, seed: bytes | None = None) -> None:
        path = program.params.kernel_path
        self.program = program if path is None or not native.off_host(path) else program.with_kernels(None)
        self._seed = seed
        self._secret = SecretKey.generate(self.program.params, seed=seed)

    def write_keys(
        self,
        path: Path,
        *,
        advance: Callable[[str, float], None] = lambda name, weight: None,
        durable: bool = True,
    ) -> None:
        """The evaluation keys that the program uses, and no others.

        `advance` is told the bytes of each key. durable: the file is on the disk, not in the system's memory
        only, when this returns.
        """
        requests = self.program.key_requests()
        keys = evaluation_keys(self._secret, requests, seed=self._seed)
        plan = self.program.bootstrap
        if plan is not None:
            sparse = encapsulation_keys(self._secret, plan.weight, seed=self._seed)
            keys = chain((sparse.to_sparse, sparse.from_sparse), keys)
        save_keys(self.program.params, requests, keys, path, advance=advance, durable=durable)

    def write_input(self, hidden: Array, path: Path) -> None:
        """Encrypts hidden states [tokens, features] block by block, at the program's input level.

        Raises RangeError when there are more tokens than the program takes, LayoutError for another width.
        """
        program, params = self.program, self.program.params
        hidden = np.asarray(hidden, dtype=np.float64)
        if hidden.ndim != 2 or hidden.shape[1] != program.features:
            raise LayoutError(
                f"expected hidden states [tokens, {program.features}], got {list(hidden.shape)}"
            )
        blocks = {
            name: encrypt(
                self._secret,
                SlotVector(values),
                level=program.input_level,
                scale=params.scale,
                seed=self._seed,
            )
            for name, values in zip(program.input_names(), program.pack(hidden), strict=True)
        }
        facts = JobFacts(program=program.fingerprint, parameters=params.fingerprint(), tokens=len(hidden))
        save_input(EncryptedInput(facts, blocks), path)

    def read_results(self, paths: Iterable[Path], tokens: int) -> DecryptedResult:
        """Decrypts the files of all workers. Raises what `load_results` raises."""
        return self.decrypted(load_results(self.program, paths), tokens)

    def decrypted(self, results: Mapping[str, Ciphertext], tokens: int) -> DecryptedResult:
        """results: all of the program's, in order."""
        slots = [decrypt(self._secret, result).real.values for result in results.values()]
        return DecryptedResult(
            values=self.program.unpack(slots, tokens),
            returns=self.program.returns,
            digest=result_digest(self.program.params, results),
        )

"""OpenFHE's half of a benchmark: a process that runs one operation for each line of its input.

Started as a file by another interpreter, CPython 3.10, the only one that OpenFHE's wheel loads under: the
standard library, openfhe, and no syntax that is newer. The protocol is that of `process_peer.py`.

Parameters: uniform ternary secret, 128 bits by the homomorphic encryption standard, hybrid key switching,
rescaling by hand, scale 2^40, first modulus 60 bits; degree, depth and digits are given.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from importlib import metadata
from math import sin
from typing import Any

import openfhe

ROTATIONS = range(1, 9)
UNUSED_STEP = 16
DESCRIPTION = (
    "same degree, levels and digits, 128 bits (HEStd_128_classic), uniform ternary secret, hybrid key "
    "switch, levels of 40 bits, base and special primes of 60"
)


class Subject:
    """A context with a key pair, two ciphertexts, and the operations on them."""

    def __init__(self, log_n: int, levels: int, digits: int) -> None:
        self.degree = 1 << log_n
        self.context = build_context(log_n, levels, digits)
        self.keys = self.context.KeyGen()
        self.values = array("d", [sin(slot) for slot in range(self.degree // 2)])
        self.plain = self.context.MakeCKKSPackedPlaintext(self.values)
        self.x = self.context.Encrypt(self.keys.secretKey, self.plain)
        self.y = self.context.Encrypt(self.keys.secretKey, self.plain)
        self.product = self.context.EvalMult(self.x, self.plain)
        self.has_relinearisation_key = False
        self.has_rotation_keys = False
        self.next_step = UNUSED_STEP

    def stored_key_bytes(self) -> int | None:
        """Bytes of one rotation key, serialised to a file in OpenFHE's binary form."""
        self.context.EvalRotateKeyGen(self.keys.secretKey, [1])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "key")
            if not self.context.SerializeEvalAutomorphismKey(path, openfhe.BINARY):
                return None
            size = os.path.getsize(path)
        self.forget_rotation_keys()
        return size

    def forget_rotation_keys(self) -> None:
        """Rotation keys of this context are made anew when they are next needed."""
        self.context.ClearEvalAutomorphismKeys()
        self.has_rotation_keys = False

    def make_rotation_keys(self) -> None:
        """The keys of `ROTATIONS`, unless they are there."""
        if not self.has_rotation_keys:
            self.context.EvalRotateKeyGen(self.keys.secretKey, list(ROTATIONS))
            self.has_rotation_keys = True

    def make_relinearisation_key(self) -> None:
        """The key of `EvalMult`, unless it is there."""
        if not self.has_relinearisation_key:
            self.context.EvalMultKeyGen(self.keys.secretKey)
            self.has_relinearisation_key = True

    def encrypt(self) -> Any:
        """Encode and encrypt, with the secret key."""
        plain = self.context.MakeCKKSPackedPlaintext(self.values)
        return self.context.Encrypt(self.keys.secretKey, plain)

    def rotate_many(self) -> list[Any]:
        """x by each of `ROTATIONS`, hoisted."""
        digits = self.context.EvalFastRotationPrecompute(self.x)
        return [self.context.EvalFastRotation(self.x, k, 2 * self.degree, digits) for k in ROTATIONS]

    def make_rotation_key(self) -> None:
        """A rotation key for a step that had none."""
        self.next_step += 1
        self.context.EvalRotateKeyGen(self.keys.secretKey, [self.next_step])

    def operations(self) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
        """Name -> (what is prepared before each run and not timed, what is timed)."""
        c = self.context
        return {
            "encode": (nothing, lambda: c.MakeCKKSPackedPlaintext(self.values)),
            "encrypt": (nothing, self.encrypt),
            "decrypt + decode": (nothing, lambda: c.Decrypt(self.keys.secretKey, self.x)),
            "add": (nothing, lambda: c.EvalAdd(self.x, self.y)),
            "plaintext product": (nothing, lambda: c.EvalMult(self.x, self.plain)),
            "product + relinearise": (
                self.make_relinearisation_key,
                lambda: c.EvalMult(self.x, self.y),
            ),
            "rescale": (nothing, lambda: c.Rescale(self.product)),
            "rotate": (self.make_rotation_keys, lambda: c.EvalRotate(self.x, 1)),
            "8 hoisted rotations": (self.make_rotation_keys, self.rotate_many),
            # Forgotten before each run, so that memory does not grow with the runs.
            "rotation key generation": (self.forget_rotation_keys, self.make_rotation_key),
        }


def build_context(log_n: int, levels: int, digits: int) -> Any:
    """The context; refused when OpenFHE takes another degree than the one asked for."""
    parameters = openfhe.CCParamsCKKSRNS()
    parameters.SetSecretKeyDist(openfhe.SecretKeyDist.UNIFORM_TERNARY)
    parameters.SetSecurityLevel(openfhe.SecurityLevel.HEStd_128_classic)
    parameters.SetRingDim(1 << log_n)
    parameters.SetMultiplicativeDepth(levels)
    parameters.SetFirstModSize(60)
    parameters.SetScalingModSize(40)
    parameters.SetScalingTechnique(openfhe.ScalingTechnique.FIXEDMANUAL)
    parameters.SetKeySwitchTechnique(openfhe.KeySwitchTechnique.HYBRID)
    parameters.SetNumLargeDigits(digits)
    parameters.SetBatchSize(1 << (log_n - 1))
    context = openfhe.GenCryptoContext(parameters)
    for feature in ("PKE", "KEYSWITCH", "LEVELEDSHE", "ADVANCEDSHE"):
        context.Enable(getattr(openfhe.PKESchemeFeature, feature))
    if context.GetRingDimension() != 1 << log_n:
        raise ValueError(f"OpenFHE chose the degree {context.GetRingDimension()}")
    return context


def nothing() -> None:
    """No preparation."""


def answer(
    operations: dict[str, tuple[Callable[[], object], Callable[[], object]]], request: dict[str, str]
) -> dict[str, object]:
    """The answer to one request."""
    name = request["operation"]
    if name not in operations:
        return {"unsupported": f"OpenFHE's Python interface has no {name} by itself"}
    prepare, run = operations[name]
    prepare()
    start_ns = time.perf_counter_ns()
    result = run()
    stop_ns = time.perf_counter_ns()
    del result
    return {"ms": (stop_ns - start_ns) / 1e6}


def main() -> None:
    """Settings are the first argument, a JSON object {log_n, levels, digits}."""
    # Answers go where standard output went; what the library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def write(message: object) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        subject = Subject(**json.loads(sys.argv[1]))
        hello = {
            "peer": "OpenFHE " + metadata.version("openfhe"),
            "description": DESCRIPTION,
            "stored_key_bytes": subject.stored_key_bytes(),
        }
        write(hello)
        operations = subject.operations()
        for line in sys.stdin:
            write(answer(operations, json.loads(line)))
    except Exception as error:  # said to the other side, whatever it is
        write({"error": f"{type(error).__name__}: {error}"})
        raise


if __name__ == "__main__":
    main()

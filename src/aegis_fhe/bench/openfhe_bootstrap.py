"""OpenFHE's bootstrap, measured in a process of its own: prints one JSON object.

Started as a file by CPython 3.10: the standard library and openfhe. Argument: a JSON object {log_n, runs}.
Sparse secret encapsulated, 60 and 59 bits, three digits, budget {4, 4}, ten levels left: its most precise
settings at this speed. Their modulus is above what the security table allows at 128 bits: security_bits is
null.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from importlib import metadata
from math import log2
from typing import Any

import openfhe

LEVELS_LEFT = 10
SCALE_BITS = 59
BUDGET = [4, 4]
GOLDEN = 0.6180339887498949


def resident_bytes() -> int:
    """Memory of this process now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(log_n: int, runs: int) -> dict[str, Any]:
    """Facts and times of `runs` bootstraps of real numbers all over [-1, 1], after one that is not timed."""
    secret = openfhe.SecretKeyDist.SPARSE_ENCAPSULATED
    parameters = openfhe.CCParamsCKKSRNS()
    parameters.SetSecretKeyDist(secret)
    parameters.SetSecurityLevel(openfhe.SecurityLevel.HEStd_NotSet)
    parameters.SetRingDim(1 << log_n)
    parameters.SetScalingModSize(SCALE_BITS)
    parameters.SetFirstModSize(60)
    parameters.SetScalingTechnique(openfhe.ScalingTechnique.FLEXIBLEAUTO)
    parameters.SetNumLargeDigits(3)
    depth = LEVELS_LEFT + openfhe.CryptoContext.GetBootstrapDepth(BUDGET, secret)
    parameters.SetMultiplicativeDepth(depth)
    context = openfhe.GenCryptoContext(parameters)
    for feature in ("PKE", "KEYSWITCH", "LEVELEDSHE", "ADVANCEDSHE", "FHE"):
        context.Enable(getattr(openfhe.PKESchemeFeature, feature))
    slots = 1 << (log_n - 1)
    context.EvalBootstrapSetup(BUDGET, [0, 0], slots)
    keys = context.KeyGen()
    before = resident_bytes()
    context.EvalMultKeyGen(keys.secretKey)
    context.EvalBootstrapKeyGen(keys.secretKey, slots)
    key_bytes = resident_bytes() - before
    values = [2 * (slot * GOLDEN % 1) - 1 for slot in range(slots)]  # equidistributed
    plain = context.MakeCKKSPackedPlaintext(values, 1, depth - 1)
    x = context.Encrypt(keys.publicKey, plain)
    seconds = []
    for run in range(runs + 1):
        start = time.perf_counter()
        refreshed = context.EvalBootstrap(x)
        if run:
            seconds.append(time.perf_counter() - start)
    decrypted = context.Decrypt(refreshed, keys.secretKey)
    decrypted.SetLength(slots)
    errors = [abs(a - b) for a, b in zip(decrypted.GetRealPackedValue(), values, strict=True)]
    return {
        "preset": "OpenFHE " + metadata.version("openfhe") + ", encapsulated sparse secret, 60 + 59 bits",
        "log_n": log_n,
        "slots": slots,
        "security_bits": None,
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")),
        "seconds": {"min": min(seconds), "median": statistics.median(seconds)},
        "levels_left": depth - refreshed.GetLevel() - (refreshed.GetNoiseScaleDeg() - 1),
        "scale_bits": SCALE_BITS,
        "precision_bits_worst": -log2(max(errors)),
        "precision_bits_mean": -log2(sum(errors) / len(errors)),
        "key_bytes": key_bytes,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    """The answer goes where standard output went; what the library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(measure(**json.loads(sys.argv[1])), answers)
    answers.close()


if __name__ == "__main__":
    main()

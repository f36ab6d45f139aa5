"""The rows of `aegis bench ring`: operations, sizes, and what each comparison leaves unsaid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from aegis_fhe.bench.gpu_operations import GPU_OPERATIONS
from aegis_fhe.bench.gpu_operations import NOTES as GPU_NOTES
from aegis_fhe.ckks import presets
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import ParameterError

# log2 N -> our parameters: at 2^16 the 24 + 1 limbs of the published comparisons, at 2^15 as many as both
# libraries take at 128 bits in three digits.
PARAMETERS: Mapping[int, Callable[[], Parameters]] = MappingProxyType(
    {15: lambda: presets.n15(13), 16: lambda: presets.n16(24)}
)

# Compared with this library's own scalar path: OpenFHE's Python interface has none of them.
KERNELS = ("ntt", "intt", "modmul", "basis conversion")
ONE_LIMB = ("ntt", "intt", "modmul")

KEY_GENERATION = "rotation key generation"

# In this order: what needs rotation keys of the peer comes before the generation of other ones.
OPERATIONS = (
    *KERNELS,
    "encode",
    "decode",
    "encrypt",
    "decrypt",
    "decrypt + decode",
    "add",
    "plaintext product",
    "product + relinearise",
    "rescale",
    "rotate",
    "8 hoisted rotations",
    KEY_GENERATION,
)

NOTES: Mapping[str, str] = MappingProxyType(
    {
        **GPU_NOTES,
        "ntt": "one limb; the peer is this library's own scalar code, in the same process",
        "basis conversion": "the first digit to all other limbs of QP; the peer as for ntt",
        "encode": "an array of float64 to a plaintext in NTT domain, all limbs",
        "encrypt": "encoding included, with the secret key; ours keeps the uniform half as a seed",
        "decrypt": "to coefficients; OpenFHE's decryption always decodes, so it has a row of its own",
        "decrypt + decode": "ours drops to the limbs that the scale needs; OpenFHE takes all that there are",
        "plaintext product": "the plaintext has been encoded before",
        KEY_GENERATION: "ours keeps one half and the seed of the other; OpenFHE both",
    }
)


def parameters_of(log_n: int, kernels: str | None = None) -> Parameters:
    """Our parameters for a degree, on a kernel path. Raises ParameterError for a degree that has none, or a
    path that cannot run here.
    """
    if log_n not in PARAMETERS:
        known = ", ".join(str(known) for known in PARAMETERS)
        raise ParameterError(f"--n {log_n} is not measured: choose {known} (the ring degree is 2^n)")
    return replace(PARAMETERS[log_n](), kernel_path=kernels)


def choose_operations(names: str | None, *, gpu: bool = False) -> Sequence[str]:
    """The operations of a comma-separated list, in the table's order; all for None. gpu: with those of one.

    Raises ParameterError for a name that is not in the table.
    """
    known = (*OPERATIONS, *GPU_OPERATIONS) if gpu else OPERATIONS
    if names is None:
        return known
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise ParameterError(f"operation {name!r} is unknown: choose from {', '.join(known)}")
    return [name for name in known if name in wanted]

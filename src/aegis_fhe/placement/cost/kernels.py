"""Work on a device as numbers of kernels, each on one row of N residues."""

from __future__ import annotations

from dataclasses import dataclass, fields

KERNELS = (
    "ntt",
    "inverse_ntt",
    "conversion_product",
    "conversion_row",
    "key_product",
    "key_row",
    "joined",
    "quotient",
    "rescaled",
    "automorphism",
    "accumulation",
    "addition",
    "product",
    "combined_product",
    "combined_row",
    "periodic_product",
    "periodic_row",
    "tensor_product",
    "tensor_row",
    "embedding",
    "uniform",
)
TRANSFORMS = ("ntt", "inverse_ntt", "embedding")  # N log N; the others grow as N


@dataclass(frozen=True, kw_only=True)
class KernelCounts:
    """How many rows each kernel takes; fractions where a transform is shorter than N.

    ntt, inverse_ntt. conversion_product: multiply-adds of a basis conversion, one for each pair of source and
    target row; conversion_row: what it does once for each source and each target. key_product: multiply-adds
    of rows that are read once (digits by keys, ciphertexts by dense plaintexts); key_row: a sum of them
    reduced and written; joined: a row times P added to it. quotient: ModDown's difference and factor after
    the transform; rescaled: the same and the conversion from one row. automorphism: a row permuted where it
    is made; accumulation: permuted and added to a sum. addition: element by element; product: by a number;
    combined_product: multiply-adds by numbers, of rows that are read once; combined_row: a sum of them
    written.
    periodic_product: multiply-adds with compressed weights; tensor_product: of ciphertexts by ciphertexts;
    periodic_row, tensor_row: an operand or a result of such a matrix product passing memory. embedding: a
    vector of N/2 slots encoded. uniform: a row drawn from a seed.

    memory_rows: what must be read or written at the least, every operand and result of an operation once.
    """

    ntt: float = 0
    inverse_ntt: float = 0
    conversion_product: float = 0
    conversion_row: float = 0
    key_product: float = 0
    key_row: float = 0
    joined: float = 0
    quotient: float = 0
    rescaled: float = 0
    automorphism: float = 0
    accumulation: float = 0
    addition: float = 0
    product: float = 0
    combined_product: float = 0
    combined_row: float = 0
    periodic_product: float = 0
    periodic_row: float = 0
    tensor_product: float = 0
    tensor_row: float = 0
    embedding: float = 0
    uniform: float = 0
    memory_rows: float = 0

    def __add__(self, other: KernelCounts) -> KernelCounts:
        return KernelCounts(**{name: getattr(self, name) + getattr(other, name) for name in _NAMES})

    def __mul__(self, times: float) -> KernelCounts:
        return KernelCounts(**{name: getattr(self, name) * times for name in _NAMES})

    @property
    def transforms(self) -> float:
        """NTTs of both directions: the unit in which papers count."""
        return self.ntt + self.inverse_ntt


_NAMES = tuple(field.name for field in fields(KernelCounts))

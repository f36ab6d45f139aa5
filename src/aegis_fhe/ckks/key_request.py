"""Which evaluation keys a program asks for: known before any key is made, and without tensors."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_fhe.errors import CompatibilityError

RELINEARISATION = "relin"
CONJUGATION = "conj"
TO_SPARSE, FROM_SPARSE = "to sparse", "from sparse"
_NAMES = {
    RELINEARISATION: "relinearisation",
    CONJUGATION: "conjugation",
    TO_SPARSE: "the way to the sparse secret",
    FROM_SPARSE: "the way from the sparse secret",
}


@dataclass(frozen=True)
class KeyRequest:
    """Which key a program needs, and the highest level that uses it.

    step: a rotation, "relin" or "conj"; "to sparse" and "from sparse" belong to `ckks.encapsulation`.
    """

    step: int | str
    level: int

    def __post_init__(self) -> None:
        if isinstance(self.step, str) and self.step not in _NAMES:
            raise CompatibilityError(f'key {self.step!r} is unknown; expected a step, "relin" or "conj"')

    @property
    def encapsulates(self) -> bool:
        """Whether the key leads to the sparse secret of bootstrapping or back."""
        return self.step in (TO_SPARSE, FROM_SPARSE)

    def galois(self, degree: int) -> int | None:
        """Galois element of the automorphism behind the key; None where there is none."""
        if isinstance(self.step, str):
            return conjugation_galois(degree) if self.step == CONJUGATION else None
        return rotation_galois(self.step, degree)

    def describe(self) -> str:
        """For messages: `rotation by 5`, `conjugation`, `relinearisation`."""
        if isinstance(self.step, str):
            return _NAMES[self.step]
        return f"rotation by {self.step}"


def rotation_galois(step: int, degree: int) -> int:
    """5^step mod 2N: rotates the slots `step` places to the left (steps modulo N/2)."""
    return pow(5, step % (degree // 2), 2 * degree)


def conjugation_galois(degree: int) -> int:
    """2N - 1: conjugates every slot."""
    return 2 * degree - 1

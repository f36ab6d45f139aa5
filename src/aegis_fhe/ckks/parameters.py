"""CKKS parameters: checked once where they are built, immutable afterwards.

Plain numbers. Torch and the compiled kernels load with `ring` and `encoder`, at their first use, and kernels
with a named kernel path: plans are made on machines that have neither.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from aegis_fhe.ckks.security import STANDARD_BITS, describe_security, max_log_qp, security_bits
from aegis_fhe.errors import LevelError, ParameterError, SecurityError
from aegis_fhe.ring.primes import MAX_PRIME_BITS, find_primes, is_prime

if TYPE_CHECKING:
    from aegis_fhe.ckks.encoder import Encoder
    from aegis_fhe.ring.ring import Ring

LOG_DEGREES = range(5, 18)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """One CKKS parameter set over Z[X]/(X^N + 1), N = 2^log_degree; secret uniform ternary, sigma = 3.19.

    q: ciphertext primes, q[0] the base prime, q[l] the one that rescaling drops at level l. p: special primes
    of hybrid key switching (ePrint 2019/688, §3), whose product exceeds every digit of `digit_size`
    consecutive q. Every prime is = 1 mod 2N and below 2^50. Raises ParameterError, or SecurityError below 128
    bits (table of ePrint 2024/463) unless `insecure=True`.

    strided: digit j takes every dnum-th limb from limb j on instead of a run of `digit_size`: where devices
    hold every M-th limb, M a divisor of dnum, whole digits then lie on one device at every level.

    kernel_path: one of `native.available_paths()`, by default the best. It changes no bit of any result, so
    it belongs to this process and not to the set: it is neither compared nor written, nor read from a file.
    """

    log_degree: int
    q: tuple[int, ...]
    p: tuple[int, ...]
    digit_size: int
    scale: float = 2.0**40
    name: str = ""
    insecure: bool = False
    strided: bool = False
    kernel_path: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "q", tuple(self.q))
        object.__setattr__(self, "p", tuple(self.p))
        _check_shape(self)
        _check_moduli(self)
        _check_digits(self)
        _check_kernel_path(self)
        if self.security_bits < STANDARD_BITS and not self.insecure:
            bound = max_log_qp(self.log_degree)
            allowed = f"at most {bound} bits" if bound else "no modulus at all (degree below 2^13)"
            raise SecurityError(
                f"N = 2^{self.log_degree} with log2(QP) = {self.log_qp:.1f} is {self.describe_security()}; "
                f"128 bits allow {allowed}: use fewer or smaller primes or a larger degree, or say "
                "insecure=True for tests"
            )

    @classmethod
    def build(
        cls,
        log_degree: int,
        q_bits: Sequence[int],
        p_bits: Sequence[int],
        digit_size: int,
        scale: float = 2.0**40,
        insecure: bool = False,
        name: str = "",
        strided: bool = False,
    ) -> Parameters:
        """Parameters from prime sizes; the primes follow deterministically from the sizes and the degree.

        Each size b takes the next unused prime = 1 mod 2N below 2^b, q before p. Raises ParameterError for
        sizes out of range, and what the constructor raises.
        """
        if log_degree not in LOG_DEGREES:
            raise ParameterError(_degree_message(log_degree))
        sizes = [*q_bits, *p_bits]
        for bits in sizes:
            if not log_degree + 2 <= bits <= MAX_PRIME_BITS:
                raise ParameterError(
                    f"a prime of {bits} bits was asked for; N = 2^{log_degree} takes {log_degree + 2} to "
                    f"{MAX_PRIME_BITS}"
                )
        primes = _choose_primes(log_degree, sizes)
        return cls(
            log_degree=log_degree,
            q=primes[: len(q_bits)],
            p=primes[len(q_bits) :],
            digit_size=digit_size,
            scale=scale,
            insecure=insecure,
            name=name,
            strided=strided,
        )

    @property
    def degree(self) -> int:
        """N."""
        return 1 << self.log_degree

    @property
    def slots(self) -> int:
        """N / 2 complex slots."""
        return self.degree // 2

    @property
    def max_level(self) -> int:
        """Level of a fresh ciphertext: number of rescalings that remain."""
        return len(self.q) - 1

    @property
    def log_qp(self) -> float:
        """log2 of the product of all primes: what security depends on."""
        return math.log2(math.prod(self.q) * math.prod(self.p))

    @property
    def security_bits(self) -> int:
        """See `security.security_bits`."""
        return security_bits(self.log_degree, self.log_qp)

    def describe_security(self) -> str:
        """One phrase, which says INSECURE below 128 bits."""
        return describe_security(self.log_degree, self.log_qp)

    def q_limbs(self, level: int) -> tuple[int, ...]:
        """Ring limbs of a ciphertext at `level`: 0..level. Raises LevelError when there is no such level."""
        if not 0 <= level < len(self.q):
            raise LevelError(f"level {level} was given; these parameters have levels 0 to {self.max_level}")
        return _first_limbs(level + 1)

    @property
    def p_limbs(self) -> tuple[int, ...]:
        """Ring limbs of the special primes: they follow all of q."""
        return tuple(range(len(self.q), len(self.q) + len(self.p)))

    def digits(self, level: int) -> tuple[tuple[int, ...], ...]:
        """Limbs of each key-switching digit at `level`: runs of `digit_size`, the last may be shorter.

        Strided ones lose limbs in turn: their number falls only when there are fewer limbs than digits.
        """
        limbs = self.q_limbs(level)
        if self.strided:
            return _strides(limbs, math.ceil(len(self.q) / self.digit_size))
        return _runs(limbs, self.digit_size)

    def log_q(self, level: int) -> float:
        """log2 of the ciphertext modulus at `level`."""
        return math.log2(math.prod(self.q[: level + 1]))

    @cached_property
    def ring(self) -> Ring:
        """The ring of all primes, q then p; built at first use."""
        from aegis_fhe.ring.ring import Ring

        return Ring(self.degree, self.q + self.p, self.kernel_path)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of this degree; built at first use."""
        from aegis_fhe.ckks.encoder import Encoder

        return Encoder(self.degree)

    def fingerprint(self) -> str:
        """Hex SHA-256 of everything that ciphertexts and keys depend on (not of the name)."""
        facts = [self.log_degree, self.q, self.p, self.digit_size, float(self.scale).hex()]
        facts += ["strided"] if self.strided else []
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain integers, floats, strings and lists, for any serialiser; `from_dict` is the inverse."""
        return {
            "log_degree": self.log_degree,
            "q": list(self.q),
            "p": list(self.p),
            "digit_size": self.digit_size,
            "scale": self.scale,
            "name": self.name,
            "insecure": self.insecure,
            **({"strided": True} if self.strided else {}),
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Parameters:
        """Checked parameters from `to_dict`'s form; missing or surplus fields raise ParameterError too."""
        try:
            return cls(**facts, kernel_path=None)
        except TypeError as error:
            raise ParameterError(f"not a parameter set: {error}") from None


@lru_cache(maxsize=256)
def _first_limbs(count: int) -> tuple[int, ...]:
    return tuple(range(count))


@lru_cache(maxsize=1024)
def _runs(limbs: tuple[int, ...], size: int) -> tuple[tuple[int, ...], ...]:
    return tuple(limbs[i : i + size] for i in range(0, len(limbs), size))


@lru_cache(maxsize=1024)
def _strides(limbs: tuple[int, ...], count: int) -> tuple[tuple[int, ...], ...]:
    return tuple(limbs[j::count] for j in range(min(count, len(limbs))))


def _choose_primes(log_degree: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """One prime for each size, all different, descending within a size."""
    available: dict[int, list[int]] = {}
    taken: list[int] = []
    for bits in dict.fromkeys(sizes):
        found = find_primes(bits, 1 << log_degree, sizes.count(bits), exclude=tuple(taken))
        available[bits] = list(found)
        taken.extend(found)
    return tuple(available[bits].pop(0) for bits in sizes)


def _degree_message(log_degree: int) -> str:
    return f"log_degree is {log_degree}; expected {LOG_DEGREES.start} to {LOG_DEGREES.stop - 1}"


def _check_shape(params: Parameters) -> None:
    if not isinstance(params.log_degree, int) or params.log_degree not in LOG_DEGREES:
        raise ParameterError(_degree_message(params.log_degree))
    if not params.q or not params.p:
        raise ParameterError("at least one ciphertext prime and one special prime are needed")
    if not isinstance(params.digit_size, int) or params.digit_size < 1:
        raise ParameterError(f"digit_size is {params.digit_size}; expected 1 or more limbs in a digit")
    if not (math.isfinite(params.scale) and params.scale >= 1.0):
        raise ParameterError(f"scale is {params.scale}; expected a finite number of at least 1")


def _check_moduli(params: Parameters) -> None:
    moduli = params.q + params.p
    if len(set(moduli)) != len(moduli):
        raise ParameterError("the primes are not all different")
    for modulus in moduli:
        if not isinstance(modulus, int) or not 2 < modulus < 1 << MAX_PRIME_BITS:
            raise ParameterError(f"modulus {modulus} is not an integer between 3 and 2^{MAX_PRIME_BITS}")
        if modulus % (2 * params.degree) != 1 or not is_prime(modulus):
            raise ParameterError(f"modulus {modulus} is not a prime that is 1 mod 2N = {2 * params.degree}")


def _check_kernel_path(params: Parameters) -> None:
    """The default path can run wherever kernels can: a ring finds it."""
    if params.kernel_path is not None:
        from aegis_fhe.ring import native

        native.choose_path(params.kernel_path)


def _check_digits(params: Parameters) -> None:
    special = math.prod(params.p)
    for index, digit in enumerate(params.digits(params.max_level)):
        product = math.prod(params.q[limb] for limb in digit)
        if product >= special:
            raise ParameterError(
                f"digit {index} has {math.log2(product):.1f} bits and the special primes "
                f"{math.log2(special):.1f}; key switching needs more special bits than any digit has: add a "
                "special prime or shorten the digits"
            )

"""Evaluation keys: public data that lets a server relinearise and rotate, half of it stored as a seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from aegis_fhe.ckks.key_request import TO_SPARSE, KeyRequest
from aegis_fhe.ckks.key_shape import half_shape, key_limbs
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CompatibilityError, MissingKeyError
from aegis_fhe.ring.keyswitching import KeyHalves
from aegis_fhe.ring.sampling import uniform


@dataclass(frozen=True, kw_only=True, eq=False)
class KeySwitchKey:
    """Hybrid key-switching key with the RNS gadget (ePrint 2019/688, §3; 2018/117).

    Digit j: b_j = -a_j * s_out + e_j + P * g_j * s_in modulo Q_level * P, with g_j = 1 modulo the primes of
    digit j and 0 modulo all others. No digit depends on the primes above it, so dropping limb rows leaves a
    valid key: one made for `request.level` serves every level below.

    b: int64 [digit, limb (q_0..q_level, then p), N], NTT domain, on the host. a: the same shape, from `seed`,
    where the ring's tensors lie.
    """

    params: Parameters
    request: KeyRequest
    b: torch.Tensor
    seed: bytes

    @property
    def level(self) -> int:
        """Highest ciphertext level the key serves."""
        return self.request.level

    @property
    def a(self) -> torch.Tensor:
        """The uniform half; public. Drawn anew every time, digit * limb uniform limbs: see `ExpandedKeys`."""
        return uniform_half(self.params, self.level, self.seed)

    @property
    def halves(self) -> KeyHalves:
        """Both halves where the ring's tensors lie, at the cost of `a`."""
        return KeyHalves(b=self.params.ring.place(self.b), a=self.a)

    @property
    def stored_bytes(self) -> int:
        """Bytes on disk and on the wire: b and the seed."""
        return self.b.numel() * self.b.element_size() + len(self.seed)


def uniform_half(params: Parameters, level: int, seed: bytes) -> torch.Tensor:
    """a of a key: int64 [digit, limb, N], NTT domain, uniform, from the key's public seed."""
    limbs = key_limbs(params, level)
    a = params.ring.arena.empty(half_shape(params, level))
    for digit, rows in enumerate(a):
        uniform(params.ring, limbs, seed, digit_label(digit), out=rows)
    return a


def digit_label(digit: int) -> bytes:
    """Names the stream of one digit of a key, of its mask and of its error."""
    return b"key digit %d" % digit


@dataclass(frozen=True, kw_only=True, eq=False)
class EncapsulationKeys:
    """Keys from the main secret to the sparse one (`narrow_parameters`) and back (at the highest level).

    weight: non-zero coefficients of the sparse secret.
    """

    to_sparse: KeySwitchKey
    from_sparse: KeySwitchKey
    weight: int

    @property
    def stored_bytes(self) -> int:
        """Of both keys: their b and seeds."""
        return self.to_sparse.stored_bytes + self.from_sparse.stored_bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationKeys:
    """All keys of one program: `relin`, `rotations` by Galois element (conjugation included), and those of
    the sparse secret where it bootstraps.
    """

    fingerprint: str
    relin: KeySwitchKey | None
    rotations: Mapping[int, KeySwitchKey]
    encapsulation: EncapsulationKeys | None = None

    @classmethod
    def collect(
        cls,
        params: Parameters,
        keys: Iterable[KeySwitchKey],
        encapsulation: EncapsulationKeys | None = None,
    ) -> EvaluationKeys:
        """Keys gathered from any iterable; of two for the same step the one with the higher level stays.

        Raises CompatibilityError for a key of other parameters.
        """
        chosen: dict[int | None, KeySwitchKey] = {}
        for key in keys:
            _check_parameters(params, key)
            galois = key.request.galois(params.degree)
            if galois not in chosen or chosen[galois].level < key.level:
                chosen[galois] = key
        if encapsulation is not None:
            _check_parameters(params, encapsulation.from_sparse)
        return cls(
            fingerprint=params.fingerprint(),
            relin=chosen.get(None),
            rotations={galois: key for galois, key in chosen.items() if galois is not None},
            encapsulation=encapsulation,
        )

    def find(self, request: KeyRequest, degree: int) -> KeySwitchKey:
        """The key that serves the request, made for its level or a higher one. Raises MissingKeyError."""
        key = self._held(request, degree)
        if key is None:
            raise MissingKeyError(
                f"no key for {request.describe()} at level {request.level}: request "
                f"KeyRequest({request.step!r}, {request.level}) when the evaluation keys are generated"
            )
        if key.level < request.level:
            raise MissingKeyError(
                f"the key for {request.describe()} serves levels up to {key.level}, the ciphertext is at "
                f"level {request.level}: request the key at level {request.level}, or drop the ciphertext "
                "first"
            )
        return key

    def _held(self, request: KeyRequest, degree: int) -> KeySwitchKey | None:
        if request.encapsulates:
            keys = self.encapsulation
            if keys is None:
                return None
            return keys.to_sparse if request.step == TO_SPARSE else keys.from_sparse
        galois = request.galois(degree)
        return self.relin if galois is None else self.rotations.get(galois)


def _check_parameters(params: Parameters, key: KeySwitchKey) -> None:
    if key.params.fingerprint() != params.fingerprint():
        raise CompatibilityError(f"the key for {key.request.describe()} was made for other parameters")

"""Secret keys, and the evaluation keys derived from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch

from aegis_fhe.ckks.keys import KeyRequest, KeySwitchKey, key_limbs, uniform_half
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.secret.randomness import draw_key
from aegis_fhe.errors import LevelError
from aegis_fhe.ring.sampling import gaussian, ternary


@dataclass(frozen=True, kw_only=True, eq=False)
class SecretKey:
    """s, uniform in {-1, 0, 1}^N. coefficients: int64 [N]. Never leaves the client; not shown by `repr`."""

    params: Parameters
    coefficients: torch.Tensor = field(repr=False)

    @classmethod
    def generate(cls, params: Parameters, *, seed: bytes | None = None) -> SecretKey:
        """A new secret from OS entropy; `seed`, for tests and demonstrations only, makes it reproducible."""
        key = draw_key("secret key", seed)
        return cls(params=params, coefficients=ternary(params.degree, key, b"secret key"))

    @cached_property
    def values(self) -> torch.Tensor:
        """s in NTT domain over all limbs of QP: int64 [limb, N]."""
        return _ntt_of(self.params, self.coefficients, key_limbs(self.params, self.params.max_level))

    def rows(self, limbs: tuple[int, ...]) -> torch.Tensor:
        """s in NTT domain over some limbs of QP."""
        if limbs == tuple(range(len(limbs))):
            return self.values[: len(limbs)]
        out = self.params.ring.arena.empty((len(limbs), self.params.degree))
        return torch.index_select(self.values, 0, torch.tensor(limbs), out=out)


def evaluation_keys(
    secret: SecretKey, requests: Iterable[KeyRequest], *, seed: bytes | None = None
) -> Iterator[KeySwitchKey]:
    """The requested keys, one at a time (about 58 MB each at N = 2^16, 30 limbs, 3 digits; nothing is kept).

    Rotation by g: a key from s to sigma_g^-1(s); relinearisation: from s^2 to s. Errors and masks are fresh
    from the OS, or derived from `seed` and the secret (tests and demonstrations only). Raises LevelError for
    a level beyond the parameters.
    """
    for request in requests:
        yield generate_key(secret, request, seed=seed)


def generate_key(secret: SecretKey, request: KeyRequest, *, seed: bytes | None = None) -> KeySwitchKey:
    """One key; see `evaluation_keys`, and `KeySwitchKey` for its equation."""
    params = secret.params
    if not 0 <= request.level <= params.max_level:
        raise LevelError(
            f"a key for level {request.level} was requested; the parameters have levels 0 to "
            f"{params.max_level}"
        )
    limbs = key_limbs(params, request.level)
    s = secret.rows(limbs)
    galois = request.galois(params.degree)
    if galois is None:
        source, target = params.ring.mul(s, s, limbs), s
    else:
        source, target = s, params.ring.automorphism(s, pow(galois, -1, 2 * params.degree))
    purpose = f"{request.describe()} level {request.level}"
    mask_seed = draw_key(f"{purpose} mask", seed, secret.coefficients)
    error_key = draw_key(f"{purpose} error", seed, secret.coefficients)
    b = _masked_gadget(params, request.level, source, target, mask_seed, error_key)
    return KeySwitchKey(params=params, request=request, b=b, seed=mask_seed)


def _masked_gadget(
    params: Parameters,
    level: int,
    source: torch.Tensor,
    target: torch.Tensor,
    mask_seed: bytes,
    error_key: bytes,
) -> torch.Tensor:
    """b_j = -a_j * target + e_j + P g_j * source for every digit j: int64 [digit, limb, N], NTT domain."""
    ring, limbs = params.ring, key_limbs(params, level)
    special = math.prod(params.p)
    b = uniform_half(params, level, mask_seed)
    for j, digit in enumerate(params.digits(level)):
        error = gaussian(params.degree, error_key, b"key digit %d" % j)
        masked = ring.mul(b[j], target, limbs, out=b[j])
        ring.sub(_ntt_of(params, error, limbs), masked, limbs, out=b[j])
        rows = slice(digit[0], digit[-1] + 1)
        lifted = ring.mul_scalar(source[rows], [special] * len(digit), digit)
        ring.add(b[j, rows], lifted, digit, out=b[j, rows])
    return b


def _ntt_of(params: Parameters, coefficients: torch.Tensor, limbs: tuple[int, ...]) -> torch.Tensor:
    values = params.ring.from_signed(coefficients, limbs)
    return params.ring.ntt(values, limbs, out=values)

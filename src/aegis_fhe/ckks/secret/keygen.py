"""Secret keys, and the evaluation keys derived from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.keys import KeySwitchKey, digit_label
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.secret.randomness import draw_key
from aegis_fhe.errors import LevelError
from aegis_fhe.ring.sampling import gaussian, mask_row, ternary
from aegis_fhe.ring.threads import for_each


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
        """s in NTT domain over all limbs of QP, in the order of the ring: int64 [limb, N]."""
        limbs = key_limbs(self.params, self.params.max_level)
        return self.params.ring.host.from_signed_ntt(self.coefficients, limbs)


def evaluation_keys(
    secret: SecretKey, requests: Iterable[KeyRequest], *, seed: bytes | None = None
) -> Iterator[KeySwitchKey]:
    """The requested keys, one at a time (about 58 MB each at N = 2^16, 30 limbs, 3 digits; nothing is kept).

    Rotation by g: a key from s to sigma_g^-1(s); relinearisation: from s^2 to s. Errors and masks are fresh
    from the OS, or derived from `seed` and the secret (tests and demonstrations only). Raises LevelError for
    a level beyond the parameters. The keys of the sparse secret are made together, by `encapsulation_keys`.
    """
    for request in requests:
        if not request.encapsulates:
            yield generate_key(secret, request, seed=seed)


def generate_key(secret: SecretKey, request: KeyRequest, *, seed: bytes | None = None) -> KeySwitchKey:
    """One key; see `evaluation_keys`, and `KeySwitchKey` for its equation."""
    params = secret.params
    if not 0 <= request.level <= params.max_level:
        raise LevelError(
            f"a key for level {request.level} was requested; the parameters have levels 0 to "
            f"{params.max_level}"
        )
    source, target = _source_and_target(secret, request)
    return switching_key(params, request, source, target, secret.coefficients, seed=seed)


def switching_key(
    params: Parameters,
    request: KeyRequest,
    source: torch.Tensor,
    target: Sequence[torch.Tensor],
    protected: torch.Tensor,
    *,
    seed: bytes | None = None,
) -> KeySwitchKey:
    """A key from the secret `source` [level + 1, N] to `target`, a row for each limb of the key; NTT domain.

    protected: what a `seed` is mixed with, see `draw_key`.
    """
    purpose = f"{request.describe()} level {request.level}"
    mask_seed = draw_key(f"{purpose} mask", seed, protected)
    error_key = draw_key(f"{purpose} error", seed, protected)
    b = _masked_gadget(params, request.level, source, target, mask_seed, error_key)
    return KeySwitchKey(params=params, request=request, b=b, seed=mask_seed)


def _source_and_target(secret: SecretKey, request: KeyRequest) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """s_in [level + 1, N] and the rows of s_out for the limbs of the key, NTT domain; no copies of s."""
    params, level, s = secret.params, request.level, secret.values
    ring, first_p = params.ring.host, len(params.q)
    parts = s[: level + 1], s[first_p:]
    galois = request.galois(params.degree)
    if galois is None:
        return ring.mul(parts[0], parts[0], params.q_limbs(level)), [row for part in parts for row in part]
    inverse = pow(galois, -1, 2 * params.degree)
    return parts[0], [row for part in parts for row in ring.automorphism(part, inverse)]


def _masked_gadget(
    params: Parameters,
    level: int,
    source: torch.Tensor,
    target: Sequence[torch.Tensor],
    mask_seed: bytes,
    error_key: bytes,
) -> torch.Tensor:
    """b_j = -a_j * target + e_j + P g_j * source for every digit j: int64 [digit, limb, N], NTT domain.

    Threads share the limbs; a row stays in cache until it is finished, and a is never stored.
    """
    ring, limbs, digits = params.ring.host, key_limbs(params, level), params.digits(level)
    special = math.prod(params.p)
    labels = [digit_label(j) for j in range(len(digits))]
    errors = [gaussian(params.degree, error_key, label) for label in labels]
    b = ring.arena.empty((len(digits), len(limbs), params.degree))

    def fill(row: int) -> None:
        limb = limbs[row]
        for j, digit in enumerate(digits):
            lifted = source[row] if limb in digit else None
            ring.lift_row(b[j, row], errors[j], limb, source=lifted, factor=special)
            mask_row(ring, b[j, row], target[row], limb, mask_seed, labels[j])

    for_each(len(limbs), fill)
    return b

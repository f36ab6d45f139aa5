"""Keys to and from an ephemeral sparse secret."""

from __future__ import annotations

from aegis_fhe.ckks.key_request import FROM_SPARSE, TO_SPARSE, KeyRequest
from aegis_fhe.ckks.key_shape import narrow_parameters
from aegis_fhe.ckks.keys import EncapsulationKeys
from aegis_fhe.ckks.secret.keygen import SecretKey, switching_key
from aegis_fhe.ckks.secret.randomness import draw_key
from aegis_fhe.ring.sampling import sparse_ternary


def encapsulation_keys(secret: SecretKey, weight: int, *, seed: bytes | None = None) -> EncapsulationKeys:
    """Draws a sparse secret of `weight` coefficients, makes the keys to it and back, and forgets it.

    seed: for tests and demonstrations only. Raises ParameterError for a weight out of range, or when q_0 is
    not below p_0.
    """
    params = secret.params
    narrow, top = narrow_parameters(params), params.max_level
    key = draw_key(f"sparse secret {weight}", seed, secret.coefficients)
    sparse = sparse_ternary(params.degree, weight, key, b"sparse secret")
    s = secret.values  # a row for each limb of QP
    to_sparse = switching_key(
        narrow,
        KeyRequest(TO_SPARSE, 0),
        s[:1],
        list(narrow.ring.host.from_signed_ntt(sparse, (0, 1))),
        secret.coefficients,
        seed=seed,
    )
    from_sparse = switching_key(
        params,
        KeyRequest(FROM_SPARSE, top),
        params.ring.host.from_signed_ntt(sparse, params.q_limbs(top)),
        list(s),
        secret.coefficients,
        seed=seed,
    )
    return EncapsulationKeys(to_sparse=to_sparse, from_sparse=from_sparse, weight=weight)

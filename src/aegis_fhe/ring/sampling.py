"""Random polynomials from a cryptographic keystream: AES-256 in counter mode, of the `cryptography` library.

Every stream has its own key, HMAC-SHA256(key, domain | length of label | label | modulus), and counts from
zero. Equal arguments give equal samples on every platform. Secret samples need a secret key from the OS.
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from functools import lru_cache

import torch
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from torch import Tensor

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring import _kernels
from aegis_fhe.ring.ring import Ring
from aegis_fhe.ring.threads import for_each

SIGMA = Decimal("3.19")
_CHUNK_BYTES = 1 << 16  # with the zeros and the samples in the second-level cache
_TAIL_BYTES = 1 << 10  # for the refusals, about one word in 2^14 or fewer
_ZEROS = bytes(_CHUNK_BYTES)


def uniform(
    ring: Ring, limbs: Sequence[int], seed: bytes, label: bytes, *, out: Tensor | None = None
) -> Tensor:
    """Independent uniform residues in [0, q) for every entry: int64 [limb, N], public, of either domain.

    Each limb depends on (seed, label, modulus) only, so any subset of limbs can be drawn alone; rows are
    drawn by several threads, on the host. `out`: where to write them. Raises ParameterError unless the seed
    has 32 bytes, and for unknown limbs.
    """
    index, shape = ring.check_limbs(limbs), (len(limbs), ring.degree)
    assert out is None or out.shape == shape, out.shape
    drawn = ring.host.arena.empty(shape) if out is None or not out.is_cpu else out
    for_each(len(index), lambda row: uniform_row(ring, index[row], seed, label, drawn[row]))
    if out is None:
        return ring.place(drawn)
    return out if out is drawn else out.copy_(drawn)


def uniform_row(ring: Ring, limb: int, seed: bytes, label: bytes, out: Tensor) -> None:
    """The row of one limb of `uniform`, into out: int64 [N], contiguous."""
    assert out.shape == (ring.degree,), out.shape
    assert out.dtype == torch.int64
    assert out.is_contiguous()
    q, done, to = ring.moduli[limb], 0, out.data_ptr()
    for address, count in _keystream(seed, b"uniform", label, q, ring.degree * 8):
        done += _kernels.sample_uniform(address, count // 8, q, to + 8 * done, ring.degree - done)
        if done == ring.degree:
            break


def mask_row(ring: Ring, row: Tensor, secret: Tensor, limb: int, seed: bytes, label: bytes) -> None:
    """row -= a * secret modulo the prime of `limb`, a = uniform_row(limb, seed, label), which is not stored.

    row, secret: int64 [N], NTT domain, in [0, q). Raises LayoutError for a wrong tensor, ParameterError as
    `uniform`.
    """
    ring.mask_row(row, secret, limb, _keystream(seed, b"uniform", label, ring.moduli[limb], ring.degree * 8))


def ternary(degree: int, key: bytes, label: bytes) -> Tensor:
    """Independent uniform coefficients in {-1, 0, 1}: int64 [degree]. Time tells the refusals only.

    Raises ParameterError unless the key has 32 bytes.
    """
    result = torch.empty(degree, dtype=torch.int64)
    done = 0
    for address, count in _keystream(key, b"ternary", label, 3, degree + degree // 64):
        done += _kernels.sample_ternary(address, count, result.data_ptr() + 8 * done, degree - done)
        if done == degree:
            break
    return result


def sparse_ternary(degree: int, weight: int, key: bytes, label: bytes) -> Tensor:
    """Exactly `weight` coefficients of -1 or 1, places and signs uniform: int64 [degree].

    The places are those of the `weight` largest of `degree` words of 62 bits, the signs another bit. Two
    equal words make the choice uneven with a probability below degree^2 / 2^63. Time depends on the words
    alone, as sorting does. Raises ParameterError for a weight out of range or a key of other than 32 bytes.
    """
    if not 0 < weight <= degree:
        raise ParameterError(f"{degree} coefficients cannot have {weight} non-zero ones")
    words = torch.empty(degree, dtype=torch.int64)
    done = 0
    for address, count in _keystream(key, b"sparse", label, weight, degree * 8):
        wanted = min(count // 8, degree - done)
        ctypes.memmove(words.data_ptr() + 8 * done, address, 8 * wanted)
        done += wanted
        if done == degree:
            break
    places = torch.topk(words >> 2 & (1 << 62) - 1, weight).indices
    result = torch.zeros(degree, dtype=torch.int64)
    result[places] = 1 - 2 * (words[places] & 1)
    return result


def gaussian(degree: int, key: bytes, label: bytes) -> Tensor:
    """Independent discrete Gaussian coefficients of standard deviation 3.19: int64 [degree], signed.

    P(x) ~ exp(-x^2 / (2 sigma^2)), by a cumulative table of 63 bits scanned whole for each sample (constant
    time).
    Raises ParameterError unless the key has 32 bytes.
    """
    result = torch.empty(degree, dtype=torch.int64)
    done, table = 0, gaussian_table()
    for address, count in _keystream(key, b"gaussian", label, 0, degree * 8):
        wanted = min(count // 8, degree - done)
        _kernels.sample_table(address, wanted, table, result.data_ptr() + 8 * done)
        done += wanted
        if done == degree:
            break
    return result


@lru_cache(maxsize=1)
def gaussian_table() -> tuple[int, ...]:
    """floor(2^63 P(|x| <= k)) for k = 0, 1, ... until it reaches 2^63 - 1, computed with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        weights = [(-Decimal(k * k) / (2 * SIGMA * SIGMA)).exp() * (1 if k == 0 else 2) for k in range(60)]
        total, running, table = sum(weights, Decimal(0)), Decimal(0), []
        for weight in weights:
            running += weight
            table.append(int(running / total * 2**63))
            if table[-1] >= 2**63 - 1:
                return tuple(table)
    raise AssertionError("60 entries reach 2^63 - 1")


def _keystream(
    key: bytes, domain: bytes, label: bytes, modulus: int, first: int
) -> Iterator[tuple[int, int]]:
    """Yield (address, bytes) of successive pieces of one keystream, valid until the next is asked for.

    `first` bytes will be needed for certain; after them the pieces are short.
    """
    if len(key) != 32:
        raise ParameterError(f"a key or seed of {len(key)} bytes given; 32 are expected")
    message = b"aegis-fhe/" + domain + len(label).to_bytes(8, "little") + label
    message += modulus.to_bytes(8, "little")
    stream = Cipher(AES(hmac.digest(key, message, hashlib.sha256)), CTR(bytes(16))).encryptor()
    left = (first + 63) // 64 * 64
    piece = bytearray(
        min(_CHUNK_BYTES, max(left, _TAIL_BYTES)) + 15
    )  # update_into wants a block less a byte more
    address = torch.frombuffer(piece, dtype=torch.uint8).data_ptr()
    try:
        while True:
            size = min(_CHUNK_BYTES, left) if left > 0 else _TAIL_BYTES
            stream.update_into(_ZEROS[:size], piece)
            yield address, size
            left -= size
    finally:
        piece[:] = bytes(len(piece))

"""Kernels of the steps of a key switch on one device, as `ckks.keyswitch` and `runtime.limbs` compute them.

With l limbs of q and k special ones on one device, dnum digits: ModUp takes l inverse NTTs and
dnum (l + k) - l forward ones, ModDown of two components 2k and 2l. On device p of several, l_p and k_p stand
for rows that are computed, l and k for rows that are read.
"""

from __future__ import annotations

from aegis_fhe.placement.cost.chain import Share
from aegis_fhe.placement.cost.kernels import KernelCounts


def conversion(sources: int, targets: int) -> KernelCounts:
    """From `sources` moduli to `targets`."""
    if not targets:
        return KernelCounts()
    return KernelCounts(conversion_product=sources * targets, conversion_row=sources + targets)


def mod_up(share: Share) -> KernelCounts:
    """Own limbs to coefficients, then every digit, gathered, to the other rows of this device."""
    total = KernelCounts(
        inverse_ntt=share.limbs, ntt=share.converted, memory_rows=share.all_limbs + share.converted
    )
    for size, own in share.digits:
        total += conversion(size, share.rows - own)
    return total


def inner_product(share: Share, addends: int = 1) -> KernelCounts:
    """All digits with both halves of a key; `addends` components join, P-fold."""
    return _products(len(share.digits), share.rows) + _joined(addends * share.limbs)


def mod_down(share: Share) -> KernelCounts:
    """Two components divided by P. A device without limbs of q only gives out its special rows."""
    specials = share.specials if share.limbs or share.split else 0
    return _divided(2 * specials, share.all_specials, share.limbs) + KernelCounts(
        memory_rows=2 * specials + 4 * share.limbs
    )


def rotated(rows: int) -> KernelCounts:
    """Two components permuted, each in the pass that makes it."""
    return KernelCounts(automorphism=2 * rows)


def rotated_sum(rows: int) -> KernelCounts:
    """Two components permuted and added up."""
    return KernelCounts(accumulation=2 * rows, memory_rows=2 * rows)


def rescale(share: Share) -> KernelCounts:
    """Two components divided by the last prime; its rows come from the device that holds them."""
    dropped, kept = 2 if share.drops else 0, 2 * share.lower
    return KernelCounts(inverse_ntt=dropped, ntt=kept, rescaled=kept, memory_rows=dropped + 2 * kept)


def raised(share: Share) -> KernelCounts:
    """Two components modulo q_0 written modulo all of Q; the two key switches are counted apart."""
    steps = conversion(1, share.limbs) * 2
    return steps + KernelCounts(inverse_ntt=2, ntt=2 * share.limbs, memory_rows=2 + 2 * share.limbs)


def key_expansion(share: Share) -> KernelCounts:
    """The uniform half of one key, of all digits, from its seed."""
    rows = len(share.digits) * share.rows
    return KernelCounts(uniform=rows, memory_rows=rows)


def aggregated_mod_up(share: Share) -> KernelCounts:
    """The digits that lie on this device to all rows."""
    made = sum(share.all_rows - size for size in share.whole_digits)
    total = KernelCounts(inverse_ntt=share.limbs, ntt=made, memory_rows=share.limbs + made)
    for size in share.whole_digits:
        total += conversion(size, share.all_rows - size)
    return total


def aggregated_rotation(share: Share) -> KernelCounts:
    """Own digits with their keys, permuted and added up in all rows; c_0 by itself, in own ones."""
    products = _products(len(share.whole_digits), share.all_rows) if share.whole_digits else KernelCounts()
    summed = rotated_sum(share.all_rows) if share.whole_digits else KernelCounts()
    return products + summed + KernelCounts(accumulation=share.limbs, memory_rows=2 * share.limbs)


def aggregated_mod_down(share: Share, *, exact: bool) -> KernelCounts:
    """Sums over devices and the division: added modulo QP and divided once, or divided on every device."""
    others = 2 * (share.devices - 1)
    if exact:
        mine = share.limbs + share.own_specials
        sums = KernelCounts(addition=others * mine, memory_rows=(others + 2) * mine)
        quotient = _divided(2 * share.own_specials, share.all_specials, share.limbs)
        return sums + _joined(2 * share.limbs) + quotient + KernelCounts(memory_rows=4 * share.limbs)
    sums = KernelCounts(addition=(others + 2) * share.limbs, memory_rows=(others + 2) * share.limbs)
    quotient = _divided(2 * share.all_specials, share.all_specials, share.all_limbs)
    rows = 2 * share.all_specials + 4 * share.all_limbs
    return sums + (quotient + KernelCounts(memory_rows=rows) if share.whole_digits else KernelCounts())


def _products(digits: int, rows: int) -> KernelCounts:
    """Digits and both halves read, two components written."""
    return KernelCounts(
        key_product=2 * digits * rows, key_row=2 * rows, memory_rows=3 * digits * rows + 2 * rows
    )


def _joined(rows: int) -> KernelCounts:
    """Rows multiplied by P and added to a row in cache."""
    return KernelCounts(joined=rows, memory_rows=rows)


def _divided(inverse: int, sources: int, targets: int) -> KernelCounts:
    """Two components: dropped rows to coefficients, converted, transformed, subtracted and scaled."""
    steps = conversion(sources, targets) * 2
    return steps + KernelCounts(inverse_ntt=inverse, ntt=2 * targets, quotient=2 * targets)

"""What each polynomial operation ties together in one ciphertext.

By the names of `circuits.counts.OperationCounts`. Rows are in NTT form, as values are stored: an operation
that needs coefficients transforms a row and thereby ties all of its entries together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.coupling.signature import CIPHERTEXT_AXES, Coupling, Signature

_PERMUTED, _CONTRACTED, _GATHERED = Coupling.PERMUTED, Coupling.CONTRACTED, Coupling.GATHERED

_ELEMENT_WISE = Signature()
# Digits of a polynomial become both components, with the other component added; X -> X^g moves entries.
_INNER_PRODUCT = Signature(component=_CONTRACTED, coefficient=_PERMUTED)
# All limbs of a digit, centred, in every other limb.
_MOD_UP = Signature(limb=_GATHERED, coefficient=_GATHERED)
# All special limbs, centred, off every other limb.
_MOD_DOWN = Signature(limb=_GATHERED, coefficient=_GATHERED)

OPERATIONS = {
    "add": _ELEMENT_WISE,
    "addend": _ELEMENT_WISE,
    "plain add": _ELEMENT_WISE,
    "plain product": _ELEMENT_WISE,
    "scalar product": _ELEMENT_WISE,
    "scalar term": _ELEMENT_WISE,
    # c_0 d_0, c_0 d_1 + c_1 d_0, c_1 d_1.
    "product": Signature(component=_CONTRACTED),
    # The dropped limb alone, centred, off each other limb: what it takes off may be computed where it lies.
    "rescale": Signature(limb=_CONTRACTED, coefficient=_GATHERED),
    "mod up": _MOD_UP,
    "accumulated rotation": _INNER_PRODUCT,
    "mod down": _MOD_DOWN,
    "rotation": _INNER_PRODUCT.joined(_MOD_DOWN),
    "key switch": _MOD_UP.joined(_INNER_PRODUCT).joined(_MOD_DOWN),
    # Limb 0, centred, becomes every limb; its two key switches are counted as such.
    "bootstrap": Signature(limb=_GATHERED, coefficient=_GATHERED),
}

# Counted apart from the products that they are operands and results of, and nothing by themselves.
PASSING = {"plain row", "product row", "scalar row", "call"}


def joined(counts: Mapping[str, float]) -> Signature:
    """Of so many operations of each name, in any order: no coupling is less than what they do in a row.

    One that centres residues or rounds them is not additive, so sums before it do not stay sums. Raises
    ParameterError for an operation that is not known.
    """
    found, done = Signature(), {name: times for name, times in counts.items() if name not in PASSING}
    for name in done:
        if name not in OPERATIONS:
            raise ParameterError(
                f"nobody has said what the operation {name!r} couples; known: {', '.join(OPERATIONS)}"
            )
        found = found.joined(OPERATIONS[name])
    if sum(done.values()) > 1 and found.limb is not Coupling.INDEPENDENT:
        summed = [axis for axis in CIPHERTEXT_AXES if found.of(axis) is Coupling.CONTRACTED]
        found = replace(found, **dict.fromkeys(summed, Coupling.GATHERED))
    return found

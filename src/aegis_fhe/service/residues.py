"""What must hold of residues that come from outside, checked before anything is computed with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CompatibilityError


def check_residues(
    residues: torch.Tensor, params: Parameters, limbs: Sequence[int], leading: tuple[int, ...], what: str
) -> None:
    """int64 [*leading, limb, N] with 0 <= residue < modulus of its limb.

    Raises CompatibilityError naming `what`.
    """
    expected = (*leading, len(limbs), params.degree)
    if residues.dtype != torch.int64 or tuple(residues.shape) != expected:
        raise CompatibilityError(
            f"{what} has shape {list(residues.shape)} of {residues.dtype}, expected {list(expected)} of int64"
        )
    # As unsigned words, negative ones are the largest: one comparison for both ends of the range.
    words = residues.cpu().contiguous().numpy().view(np.uint64).reshape(-1, len(limbs), params.degree)
    moduli = np.array([(*params.q, *params.p)[limb] for limb in limbs], dtype=np.uint64)
    if bool((words.max(axis=2) >= moduli).any()):
        raise CompatibilityError(
            f"{what} holds residues outside [0, q): it is damaged or of other parameters"
        )

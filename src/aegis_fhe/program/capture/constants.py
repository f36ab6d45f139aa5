"""Everything that depends on no input of the user is computed while reading: weights, masks, tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.movement import KEEPS_ORDER, MOVES_ELEMENTS


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor known at capture. `origin`: its parameter, or the module that computed it."""

    tensor: torch.Tensor
    origin: str


def fold(call: Call) -> Any:
    """The operator on constants: a Constant, or a list of them.

    Raises UnsupportedModuleError when it would write into one, which may be the module's own parameter.
    """
    in_place = call.operator.endswith("_") and not call.operator.endswith("__")
    if in_place and call.operator.removesuffix("_") not in KEEPS_ORDER:  # numbers in the code come by detach_
        raise call.refusal("writes into its argument; nearest supported form: the operator without _")
    constants = [part for part in call.operands() if isinstance(part, Constant)]
    moved = bool(constants) and call.operator in KEEPS_ORDER | MOVES_ELEMENTS
    origin = constants[0].origin if moved else call.path or call.operator
    result = call.run(lambda part: part.tensor if isinstance(part, Constant) else part)
    if isinstance(result, torch.Tensor):
        return Constant(result, origin)
    return [Constant(part, origin) for part in result]


def scalar(value: Any) -> float | None:
    """The number that a Python number or a constant of one element is; None for everything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, Constant) and value.tensor.numel() == 1:
        return float(value.tensor.double().item())
    return None


def row(value: Any, features: int) -> Constant | None:
    """A constant that broadcasts over tokens: [features] behind dimensions of size 1."""
    if isinstance(value, Constant) and value.tensor.numel() == value.tensor.shape[-1] == features:
        return Constant(value.tensor.reshape(features), value.origin)
    return None

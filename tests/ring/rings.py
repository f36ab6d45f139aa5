"""Rings as tests of them use: tensors are made and compared on the host, whatever the kernels run on.

On the path of a GPU, operands travel there and results back; all that is tested are the kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any

import pytest
import torch

from aegis_fhe import ring
from aegis_fhe.ring import find_primes, native
from aegis_fhe.ring.core import RingCore
from aegis_fhe.ring.masking import Masking

EVERY_PATH = tuple(dict.fromkeys((*native.available_paths(), *native.EMULATED, native.default_path())))


class Ring(ring.Ring):
    """Takes and gives tensors of the host."""

    def place(self, x: torch.Tensor) -> torch.Tensor:
        """Where it is: it travels when an operation takes it."""
        return x


def _travelling(operation: Callable[..., Any]) -> Callable[..., Any]:
    """As the operation, for operands of the host; others, which come from inside of one, stay there."""

    @wraps(operation)
    def run(self: Ring, *arguments: Any, **options: Any) -> Any:
        if self.device.type == "cpu":
            return operation(self, *arguments, **options)
        there: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

        def go(x: torch.Tensor) -> torch.Tensor:
            if x.device.type != "cpu":
                return x
            return there.setdefault(id(x), (x, x.to(self.device)))[1]

        found = operation(self, *_mapped(go, arguments), **_mapped(go, options))
        if not there:
            return found
        back = {id(copy): x for x, copy in there.values()}  # what was written where it is

        def come(x: torch.Tensor) -> torch.Tensor:
            return back[id(x)].copy_(x) if id(x) in back else x.cpu()

        return _mapped(come, found)

    return run


def _mapped(change: Callable[[torch.Tensor], torch.Tensor], x: Any) -> Any:
    """x with every tensor in it changed."""
    if isinstance(x, torch.Tensor):
        return change(x)
    if isinstance(x, dict):
        return {name: _mapped(change, one) for name, one in x.items()}
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(_mapped(change, one) for one in x))
    if isinstance(x, list | tuple):
        return type(x)(_mapped(change, one) for one in x)
    if is_dataclass(x) and not isinstance(x, type):
        return type(x)(**{field.name: _mapped(change, getattr(x, field.name)) for field in fields(x)})
    return x


def _on_host() -> bool:
    return Ring(8, find_primes(20, 8, 1)).device.type == "cpu"


# Masking is of the host on every path.
for _owner in ring.Ring.__mro__[1:-1]:
    for _name, _operation in vars(_owner).items():
        if not _name.startswith("_") and callable(_operation) and _owner not in (RingCore, Masking):
            setattr(Ring, _name, _travelling(_operation))

strides_matter = pytest.mark.skipif(
    not _on_host(), reason="of addresses and strides, which tensors that travel leave behind"
)

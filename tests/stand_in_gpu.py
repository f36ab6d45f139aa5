"""A GPU's place taken by this machine's memory: where tensors lie matters as on a GPU, and nothing is one.

Path "cuda" then runs the best kernels of the processor on tensors of a device of their own, behind which is
ordinary memory. As on a GPU, no operation takes tensors of both devices, but for copies and single numbers,
and numpy sees none: code that assumes the host's memory fails here as it does there. torch lets Python stand
in for a device (`_setup_privateuseone_for_python_backend`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch.utils import _pytree, backend_registration

from aegis_fhe.ring import _kernels, native
from aegis_fhe.ring.arena import Arena, ArenaBytes
from aegis_fhe.ring.calls import Calls
from aegis_fhe.ring.copies import Copies
from aegis_fhe.ring.cuda import arena as cuda_arena
from aegis_fhe.ring.cuda import copies as cuda_copies
from aegis_fhe.ring.cuda import device as cuda_device
from aegis_fhe.ring.cuda import graphs as cuda_graphs

NAME = "stand-in-gpu"
_DEVICE = "standin"
_COPIES = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)


class ElsewhereTensor(torch.Tensor):
    """A tensor of the device; `memory` is what is behind it, which only kernels and copies reach."""

    memory: torch.Tensor

    @staticmethod
    def __new__(cls, memory: torch.Tensor) -> ElsewhereTensor:
        made: ElsewhereTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            memory.shape,
            strides=memory.stride(),
            storage_offset=memory.storage_offset(),
            dtype=memory.dtype,
            device=torch.device(_DEVICE, 0),
        )
        made.memory = memory
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def data_ptr(self) -> int:
        return self.memory.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.memory.untyped_storage()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("a tensor of a device is no array: copy it to the host first")

    def __getitem__(self, index: Any) -> Any:
        """torch makes tensors of lists where Python cannot stand in."""
        found = _index(index)
        return super().__getitem__(index) if found is None else ElsewhereTensor(self.memory[found])

    def __setitem__(self, index: Any, value: Any) -> None:
        found = _index(index)
        if found is None:
            super().__setitem__(index, value)
        else:
            assert isinstance(value, ElsewhereTensor), "tensors of the host and of the device"
            self.memory[found] = value.memory

    def tolist(self) -> Any:
        return self.memory.tolist()

    def __repr__(self, **options: Any) -> str:
        return f"ElsewhereTensor({self.memory})"


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    """One operation on the memory behind its operands; what it makes lies where they do, or where it says."""
    flat, form = _pytree.tree_flatten((args, kwargs))
    mine = [x for x in flat if isinstance(x, ElsewhereTensor)]
    hosts = [x for x in flat if isinstance(x, torch.Tensor) and not isinstance(x, ElsewhereTensor)]
    if mine and func not in _COPIES and any(x.dim() for x in hosts):
        raise RuntimeError(f"{func}: tensors of the host and of the device")
    asked = [x.type == _DEVICE for x in flat if isinstance(x, torch.device)]
    elsewhere = asked[0] if asked else bool(mine)
    plain_args, plain_kwargs = _pytree.tree_unflatten([_behind(x) for x in flat], form)
    if func is torch.ops.aten._to_copy.default:
        plain_kwargs.pop("non_blocking", None)
    known = {id(_behind(x)): x for x in flat if isinstance(x, torch.Tensor)}  # written in place

    def placed(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return known[id(x)] if id(x) in known else ElsewhereTensor(x) if elsewhere else x

    return _pytree.tree_map(placed, func(*plain_args, **plain_kwargs))


def _behind(x: Any) -> Any:
    if isinstance(x, ElsewhereTensor):
        return x.memory
    return torch.device("cpu") if isinstance(x, torch.device) else x


def _index(index: Any) -> Any:
    """One with lists in it, else None."""
    parts = index if isinstance(index, tuple) else (index,)
    return index if any(isinstance(part, list) for part in parts) else None


def _tensor(data: Any, *, device: torch.device | str = "cpu", **options: Any) -> torch.Tensor:
    """`torch.tensor`, which makes none where Python stands in."""
    return _made(data, **options).to(device)


_made = torch.tensor


class StandInArena(cuda_arena.CudaArena):
    """An arena of the processor's memory that gives tensors of the device."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.behind = device, Arena()

    def empty(self, shape: Sequence[int]) -> torch.Tensor:
        return ElsewhereTensor(self.behind.empty(shape))

    def reserve(self, size: int) -> None:
        self.behind.reserve(size)

    def bytes(self) -> ArenaBytes:
        return self.behind.bytes()

    @property
    def blocks_made(self) -> int:
        return self.behind.blocks_made

    def trim(self) -> int:
        return self.behind.trim()

    def reset_peaks(self) -> None:
        self.behind.reset_peaks()


class _StandIn:
    """In the place of `CudaDevice`."""

    arithmetic = "Fp64"

    def operations(
        self, log_degree: int, moduli: Sequence[int], roots: Sequence[int], arena: StandInArena
    ) -> Any:
        path = native.available_paths()[0]
        return _Operations(_kernels.Ring(log_degree, moduli, roots, path, arena.behind.native))


class _Operations:
    """The processor's operations under the name of a GPU's."""

    path = "cuda"

    def __init__(self, operations: _kernels.Ring) -> None:
        self.native = operations

    def periodic_sums(self, xs: Any, coefficients: Any, small: _Operations, *rest: Any) -> None:
        self.native.periodic_sums(xs, coefficients, small.native, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.native, name)


@cache
def _device() -> torch.device:
    """Registers it, once in a process. Skips the test where this torch cannot."""
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip(f"torch {torch.__version__} lets Python stand in for no device")
    backend_registration._setup_privateuseone_for_python_backend(_DEVICE)
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda func, *args, **kwargs: _run(func, args, kwargs), "PrivateUse1")
    _device.library = library  # type: ignore[attr-defined]
    return torch.device(_DEVICE, 0)


def stand_in(patch: pytest.MonkeyPatch) -> None:
    """Until the patch is undone, path "cuda" is this device."""
    device = _device()
    patch.setattr(cuda_device, "check_device", lambda path: device)
    patch.setattr(cuda_device, "open_device", lambda device: _StandIn())
    patch.setattr(cuda_arena, "CudaArena", StandInArena)
    patch.setattr(cuda_copies, "CudaCopies", Copies)
    patch.setattr(cuda_graphs, "CudaGraphs", lambda device: Calls())
    patch.setattr(torch, "tensor", _tensor)

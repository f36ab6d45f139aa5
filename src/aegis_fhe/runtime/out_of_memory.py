"""Memory that the system does not give, whoever asked for it: one error, which says for what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aegis_fhe.errors import CapacityError


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Raises CapacityError naming `what` where the block runs out of memory: in Python, in a kernel, in the
    arena, in torch.
    """
    try:
        yield
    except (CapacityError, MemoryError, RuntimeError) as error:
        if not isinstance(error, CapacityError | MemoryError) and not _is_torchs(error):
            raise
        reason = (str(error).splitlines() or ["no memory left"])[0]
        raise CapacityError(f"{what}: {reason}") from error


def _is_torchs(error: RuntimeError) -> bool:
    """torch has a type of its own for devices' memory alone."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)

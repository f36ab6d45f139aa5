"""A worker process that cannot import what it has no business with: the code that uses a secret key.

It guards against mistakes of ours, not against hostile code in the process. The stronger half of the
protection is that a worker is never given a secret key.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class ImportGuard(MetaPathFinder):
    """Refuses every module that is one of `prefixes` or lies inside one."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self.prefixes = tuple(prefixes)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise `ImportError` for a forbidden name, leave all others to the next finder."""
        if is_inside(fullname, self.prefixes):
            raise ImportError(f"{fullname} must not be imported in this process: workers hold no secret key")
        return None


def forbid_imports(prefixes: Iterable[str]) -> ImportGuard:
    """From now on refuse to import modules under `prefixes`; call it first thing in a worker.

    Raises `ImportError` naming those that are already loaded. `sys.meta_path.remove` the result to end it
    (tests).
    """
    guard = ImportGuard(prefixes)
    if loaded := loaded_modules(guard.prefixes):
        raise ImportError(
            f"already loaded, though forbidden here: {', '.join(loaded)}; start a clean process"
        )
    sys.meta_path.insert(0, guard)
    return guard


def loaded_modules(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Names of loaded modules under `prefixes`, sorted."""
    wanted = tuple(prefixes)
    return tuple(sorted(name for name in sys.modules if is_inside(name, wanted)))


def is_inside(name: str, prefixes: Iterable[str]) -> bool:
    """Whether module `name` is one of `prefixes` or a submodule of one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)

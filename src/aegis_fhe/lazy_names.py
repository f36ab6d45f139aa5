"""Packages whose names load when they are first used.

So `import aegis_fhe.ckks.parameters`, which runs `ckks/__init__.py`, loads neither torch nor the kernels for
the sake of names that nobody asked for. A package states its names twice, which a test holds together:

    if TYPE_CHECKING:
        from aegis_fhe.ring.ring import Ring
    else:
        __getattr__ = load_on_use(__name__, {"Ring": "aegis_fhe.ring.ring"})

A type checker reads the first half alone, so it knows each name's type and refuses any other.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def load_on_use(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of `package` (PEP 562): a name of `homes` comes from the module that defines it.

    Any other name raises AttributeError, as it would without it.
    """

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return load

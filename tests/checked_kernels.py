"""Kernel tests on another build of the native module: `python tests/checked_kernels.py LIBRARY [options]`.

`make sanitize` calls it with the build that checks every address. The module is put in place before anything
imports the installed one, in this process only: worker processes would use the installed one.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

NAME = "aegis_fhe.ring._kernels"
TESTS = Path(__file__).parent
QUICK = [
    *("ring", "ckks/test_arithmetic.py", "ckks/test_keyswitch.py", "ckks/test_plain_products.py"),
    *("ckks/test_rotations.py", "ckks/test_secret.py"),
]
OTHERS = "ring/cuda"  # NVRTC, which does not run under the checks, and processes with the installed module


def use(library: str) -> ModuleType:
    """Load `library` as the native module of this process; raises when another one is loaded already."""
    assert NAME not in sys.modules, f"{NAME} is loaded already: {sys.modules[NAME].__file__}"
    spec = importlib.util.spec_from_file_location(NAME, library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[NAME] = module
    return module


def main(library: str, *arguments: str) -> int:
    """Exit status of pytest; 1 when the module that ran is not `library` or checks nothing."""
    module = use(library)
    if not module.build_info()["sanitizers"]:
        print(f"{library} was built without checks", file=sys.stderr)
        return 1
    status = pytest.main([*arguments, *(str(TESTS / path) for path in QUICK), f"--ignore={TESTS / OTHERS}"])
    from aegis_fhe.ring import _kernels

    assert _kernels is module
    print(f"ran on {library}: {module.build_info()}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

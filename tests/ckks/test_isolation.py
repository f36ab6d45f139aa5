"""A process that evaluates never loads the code that handles secret keys."""

import subprocess
import sys

PROGRAM = """
import sys
from aegis_fhe.ckks import *
import aegis_fhe.ckks.presets, aegis_fhe.ckks.noise
loaded = sorted(name for name in sys.modules if name.startswith("aegis_fhe.ckks"))
assert "aegis_fhe.ckks.evaluator" in loaded
print(*[name for name in loaded if "secret" in name])
"""


def test_importing_the_evaluator_does_not_load_the_secret_package():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

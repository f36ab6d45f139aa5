"""A worker never loads the code that handles secret keys, and could not if it tried."""

from __future__ import annotations

import subprocess
import sys

# Imports all that the worker's module names anywhere, the body of `work` included.
PROGRAM = """
import ast, importlib, inspect, sys
import aegis_fhe.service.worker as worker

named = {node.module for node in ast.walk(ast.parse(inspect.getsource(worker)))
         if isinstance(node, ast.ImportFrom) and node.module.startswith("aegis_fhe")}
for name in sorted(named):
    importlib.import_module(name)
    print("imported", name)
for command in ("aegis_fhe.cli.worker",):
    importlib.import_module(command)
for name in sorted(sys.modules):
    if name.startswith(("aegis_fhe.ckks.secret", "aegis_fhe.service.client")):
        print("SECRET", name)

from aegis_fhe.runtime.sandbox import forbid_imports
forbid_imports(worker.FORBIDDEN)
for name in ("aegis_fhe.ckks.secret", "aegis_fhe.ckks.secret.decrypt", "aegis_fhe.service.client"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        print("refused", name, "workers hold no secret key" in str(error))
try:
    from aegis_fhe import Client
except ImportError:
    print("refused Client")
"""


def test_nothing_that_a_worker_imports_loads_secret_key_code() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    imported = {line.split()[1] for line in lines if line.startswith("imported")}
    assert imported >= {
        "aegis_fhe.runtime.executor",
        "aegis_fhe.runtime.worker",
        "aegis_fhe.service.ciphertexts_file",
        "aegis_fhe.service.keys_file",
        "aegis_fhe.service.program_file",
    }
    assert [line for line in lines if not line.startswith("imported")] == [
        "refused aegis_fhe.ckks.secret True",
        "refused aegis_fhe.ckks.secret.decrypt True",
        "refused aegis_fhe.service.client True",
        "refused Client",
    ]

"""OpenFHE's worker: Python 3.10 and nothing but openfhe; its protocol, and OpenFHE where it is there."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_fhe.bench.openfhe_peer import WORKER, start_openfhe
from aegis_fhe.bench.openfhe_python import find_openfhe
from aegis_fhe.bench.peer import Unsupported
from aegis_fhe.bench.process_peer import ProcessPeer
from aegis_fhe.bench.ring_table import KERNELS, OPERATIONS
from aegis_fhe.ckks import presets
from aegis_fhe.errors import PeerError

# Answers every name with something that can be called, and prints where answers belong.
STAND_IN = """
from os import write

BINARY = "binary"

class Anything:
    def __getattr__(self, name):
        return Anything()

    def __call__(self, *arguments):
        write(1, b"noise on standard output\\n")
        return Anything()

class Context(Anything):
    def __init__(self, degree):
        self.degree = degree
        self.made = set()

    def GetRingDimension(self):
        return self.degree

    def EvalRotateKeyGen(self, secret, steps):
        assert not self.made & set(steps), "this key exists"
        self.made |= set(steps)

    def ClearEvalAutomorphismKeys(self):
        self.made.clear()

    def EvalRotate(self, x, step):
        assert step in self.made, "no key"

    def SerializeEvalAutomorphismKey(self, path, form):
        assert form == BINARY and len(self.made) == 1
        with open(path, "wb") as file:
            file.write(bytes(4321))
        return True

class CCParamsCKKSRNS(Anything):
    def SetRingDim(self, degree):
        self.degree = degree

def GenCryptoContext(parameters):
    return Context(parameters.degree if parameters.degree < 1 << 15 else 1 << 15)

SecretKeyDist = SecurityLevel = ScalingTechnique = KeySwitchTechnique = PKESchemeFeature = Anything()
"""


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(), feature_version=(3, 10))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.fixture
def stand_in(tmp_path):
    (tmp_path / "openfhe.py").write_text(STAND_IN)
    folder = tmp_path / "openfhe-1.2.3.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: openfhe\nVersion: 1.2.3\n")
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def command(log_n: int = 11) -> list[str]:
    return [sys.executable, str(WORKER), json.dumps({"log_n": log_n, "levels": 3, "digits": 2})]


def test_the_worker_needs_python_3_10_the_standard_library_and_openfhe():
    assert imports(WORKER) - {"openfhe"} <= sys.stdlib_module_names
    assert "openfhe" in imports(WORKER)


def test_the_worker_says_who_it_is_and_times_every_operation_it_has(stand_in):
    with ProcessPeer(command(), environment=stand_in) as peer:
        assert (peer.facts.name, peer.facts.stored_key_bytes) == ("OpenFHE 1.2.3", 4321)
        for operation in OPERATIONS:
            answer = peer.measure(operation)
            refused = operation in (*KERNELS, "decode", "decrypt")
            assert isinstance(answer, Unsupported) == refused, operation


def test_keys_are_made_once_and_forgotten_by_key_generation(stand_in):
    """The stand-in refuses to make a key that exists and to rotate without one."""
    with ProcessPeer(command(), environment=stand_in) as peer:
        for operation in ("rotate", "rotate", *["rotation key generation"] * 3, "rotate"):
            assert isinstance(peer.measure(operation), float)


def test_another_degree_than_asked_for_is_refused(stand_in):
    with pytest.raises(PeerError, match="degree 32768"):
        ProcessPeer(command(16), environment=stand_in)


def test_the_worker_leaves_when_its_input_ends(stand_in):
    done = subprocess.run(
        command(), env=stand_in, input="", capture_output=True, text=True, check=True, timeout=60
    )
    assert len(done.stdout.splitlines()) == 1


def test_openfhe_itself_where_it_is_installed():
    try:
        python = find_openfhe(Path.home(), install=False, say=print)
    except PeerError as error:
        pytest.skip(str(error))
    params = presets.n14(5)
    with start_openfhe(python, params, 1) as peer:
        assert peer.facts.name.startswith("OpenFHE 1.")
        # 3 digits of two halves, 6 limbs and 2 special limbs of 64-bit words, and a header.
        size = 3 * 2 * (6 + 2) * params.degree * 8
        assert size < peer.facts.stored_key_bytes < 1.01 * size
        for operation in OPERATIONS:
            answer = peer.measure(operation)
            assert isinstance(answer, Unsupported) == (operation in (*KERNELS, "decode", "decrypt"))

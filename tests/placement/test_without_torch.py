"""A plan for any number of devices is made on a laptop: without torch, and without the compiled kernels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from aegis_fhe.placement.compare import Comparison

from .small_workload import small_workload

TESTS = Path(__file__).resolve().parents[1]
PLAN = ("plan", "--model", "minilm", "--tokens", "128", "--devices", "2", "--json")
COMMAND = "from aegis_fhe.cli.main import main; main()"

# A module that is None in `sys.modules` cannot be imported.
BLOCKED = "import sys; sys.modules.update(dict.fromkeys(('torch', 'aegis_fhe.ring._kernels')))"

COMPARISON = """
import json
from aegis_fhe.placement.compare import Comparison
from placement.small_workload import small_workload
best = Comparison(small_workload()).verdict("aegis").best
print(json.dumps([best.received("attention"), best.timeline.seconds, best.memory.total]))
"""

LOADED = f"""
import sys
from aegis_fhe.cli.main import main
try: main({list(PLAN)!r})
finally: print("LOADED", *sorted({{"torch", "aegis_fhe.ring._kernels"}} & set(sys.modules)))
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=TESTS, capture_output=True, text=True, check=False
    )


def test_torch_and_the_kernels_are_blocked():
    """What the tests below rest on; a plan needs neither, a ring needs both."""
    done = run(f"{BLOCKED}\nimport torch")
    assert "ModuleNotFoundError" in done.stderr
    use = "from aegis_fhe.ckks import presets; presets.{}.ring"
    assert "halted; None in sys.modules" in run(f"{BLOCKED}\n{use.format('n15()')}").stderr


def test_a_layer_is_planned_without_torch():
    """The very plan that is made where torch is."""
    done = run(f"{BLOCKED}\n{COMPARISON}")
    assert done.returncode == 0, done.stderr
    best = Comparison(small_workload()).verdict("aegis").best
    assert json.loads(done.stdout) == [best.received("attention"), best.timeline.seconds, best.memory.total]


def test_the_command_plans_without_torch():
    done = run(f"{BLOCKED}\n{COMMAND}", *PLAN)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["model"], facts["tokens"], facts["devices"]) == ("minilm", 128, 2)
    assert facts["strategies"]["aegis"]["fits"] is True


def test_a_plan_loads_no_torch_where_there_is_one():
    """Torch takes seconds to load, and a plan nothing that it could use."""
    done = run(LOADED)
    assert done.returncode == 0, done.stderr
    facts, loaded = done.stdout.splitlines()
    assert json.loads(facts)["model"] == "minilm"
    assert loaded.split() == ["LOADED"]


def test_the_version_loads_no_torch():
    program = "import sys\nfrom aegis_fhe.cli.main import main\ntry: main(['--version'])\n"
    done = run(program + "finally: print('torch' in sys.modules)")
    version, loaded = done.stdout.splitlines()
    assert version.startswith("aegis-fhe ")
    assert loaded == "False"

"""Peers for tests: one in this process, and programs that speak the protocol or break it."""

from __future__ import annotations

import sys
from pathlib import Path

from aegis_fhe.bench.peer import PeerFacts, Unsupported

HELLO = '{"peer": "Fake 1", "description": "made up", "stored_key_bytes": 1000}'

GOOD = f"""
import json, sys
print('{HELLO}', flush=True)
for line in sys.stdin:
    name = json.loads(line)["operation"]
    answer = {{"ms": 2.5}} if name == "rotate" else {{"unsupported": "no " + name}}
    print(json.dumps(answer), flush=True)
"""


class StandInPeer:
    """Answers `ms` for some operations and refuses the others; remembers what was asked."""

    def __init__(self, ms: dict[str, float]) -> None:
        self.ms = ms
        self.asked: list[str] = []
        self.closed = False
        self.facts = PeerFacts(name="Stand-in 1", description="of no library", stored_key_bytes=1000)

    def measure(self, operation: str) -> float | Unsupported:
        self.asked.append(operation)
        return self.ms.get(operation, Unsupported("not this one"))

    def close(self) -> None:
        self.closed = True


def program(folder: Path, text: str) -> list[str]:
    """The command that runs a Python program."""
    path = folder / "peer.py"
    path.write_text(text)
    return [sys.executable, str(path)]

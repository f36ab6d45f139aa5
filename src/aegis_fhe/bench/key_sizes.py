"""Bytes of one stored rotation key, ours and the peer's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aegis_fhe.bench.peer import Peer
from aegis_fhe.bench.scheme_operations import SchemeOperations
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.observe.table import format_bytes


@dataclass(frozen=True, kw_only=True)
class KeySizes:
    """ours: one half and a seed; theirs: the peer's key as it serialises it, None where it cannot say."""

    ours: int
    peer: str | None
    theirs: int | None

    def facts(self) -> dict[str, Any]:
        """For a recorded row."""
        return {"stored_key_bytes": {"ours": self.ours, "peer": self.theirs}}

    def sentence(self) -> str:
        """For people."""
        text = f"A stored rotation key: ours {format_bytes(self.ours)}"
        if self.theirs is None:
            return text + "."
        percent = 100 * self.ours / self.theirs
        return f"{text}, {self.peer} {format_bytes(self.theirs)} in a file; ours is {percent:.1f} % of it."


def key_sizes(params: Parameters, peer: Peer | None) -> KeySizes:
    """Sizes at the highest level, ours of a key that is generated for it."""
    ours = SchemeOperations(params).make_rotation_key().stored_bytes
    if peer is None:
        return KeySizes(ours=ours, peer=None, theirs=None)
    return KeySizes(ours=ours, peer=peer.facts.name, theirs=peer.facts.stored_key_bytes)

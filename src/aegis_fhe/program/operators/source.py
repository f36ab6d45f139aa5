"""Where ciphertexts come from."""

from __future__ import annotations

import msgspec


class Input(msgspec.Struct, frozen=True, tag=True):
    """A token block of the hidden states, encrypted by the client in zone 0."""

    level: int

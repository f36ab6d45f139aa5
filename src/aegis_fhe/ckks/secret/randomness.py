"""Where secrets come from: the operating system, or a seed for reproducible tests and demonstrations."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import torch

KEY_BYTES = 32


def draw_key(purpose: str, seed: bytes | None, context: torch.Tensor | None = None) -> bytes:
    """32 bytes for one purpose: fresh OS entropy, or HMAC-SHA256(seed, purpose | context) of a given seed.

    `context` is what the randomness protects (the message, the secret), so that one seed used for two of them
    gives unrelated bytes: equal randomness would reveal their difference. A published output (the seed of a
    uniform polynomial) reveals nothing about the seed or the other outputs.
    """
    if seed is None:
        return secrets.token_bytes(KEY_BYTES)
    digest = b"" if context is None else hashlib.sha256(context.numpy().tobytes()).digest()
    return hmac.digest(seed, purpose.encode() + digest, "sha256")

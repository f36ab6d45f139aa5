"""The encrypted program: capture, layout, graph, and the interpreters that give it meaning."""

from aegis_fhe.program.attention_fits import Approximations
from aegis_fhe.program.capture import AttentionSubLayer, capture_attention
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.compiler import compile_attention
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.ranges import AttentionRanges, Interval

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

"""all-MiniLM-L6-v2: its calibrated ranges and its first encrypted sub-layer."""

from aegis_fhe.models.minilm.recipe import TOKENS, compile_first_attention, ranges_for

__all__ = ["TOKENS", "compile_first_attention", "ranges_for"]

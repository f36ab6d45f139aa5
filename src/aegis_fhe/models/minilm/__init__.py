"""all-MiniLM-L6-v2, and other sentence encoders of its kind."""

from aegis_fhe.models.minilm.recipe import TOKENS, calibrate, compile_sentence_encoder, ranges_for

__all__ = ["TOKENS", "calibrate", "compile_sentence_encoder", "ranges_for"]

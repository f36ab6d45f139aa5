"""GPT-2: its checkpoint."""

from aegis_fhe.models.gpt2.checkpoint import GPT2

__all__ = ["GPT2"]

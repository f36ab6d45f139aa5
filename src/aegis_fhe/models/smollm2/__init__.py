"""SmolLM2-135M-Instruct: its checkpoint, and how well it predicts text."""

from aegis_fhe.models.smollm2.checkpoint import SmolLM2, packaged_model
from aegis_fhe.models.smollm2.evaluation import final_states, perplexity

__all__ = ["SmolLM2", "final_states", "packaged_model", "perplexity"]

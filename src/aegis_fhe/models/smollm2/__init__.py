"""SmolLM2-135M-Instruct: its checkpoint, how well it predicts text, and what encryption would change."""

from aegis_fhe.models.smollm2.accuracy import Accuracy, calibrate_decoder, predicted_accuracy
from aegis_fhe.models.smollm2.checkpoint import SmolLM2, packaged_model
from aegis_fhe.models.smollm2.evaluation import final_states, perplexity
from aegis_fhe.models.smollm2.one_layer import OneLayer

__all__ = [
    "Accuracy",
    "OneLayer",
    "SmolLM2",
    "calibrate_decoder",
    "final_states",
    "packaged_model",
    "perplexity",
    "predicted_accuracy",
]

"""Models: weights and tokenizers in, calibration, and ready recipes."""

from aegis_fhe.models.calibration import calibrate_attention
from aegis_fhe.models.text_encoder import TextEncoder

__all__ = ["TextEncoder", "calibrate_attention"]

"""BERT with a head for classification: checkpoints in Hugging Face format, and a recipe that trains one."""

from aegis_fhe.models.classifier.checkpoint import TextClassifier
from aegis_fhe.models.classifier.recipe import compile_classifier, ranges_for

__all__ = ["TextClassifier", "compile_classifier", "ranges_for"]

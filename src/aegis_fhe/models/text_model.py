"""Which kind of text model a checkpoint is: a sentence encoder or a classifier."""

from __future__ import annotations

from pathlib import Path

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.models.checkpoint_folder import checkpoint_folder
from aegis_fhe.models.classifier.checkpoint import ARCHITECTURE, TextClassifier
from aegis_fhe.models.text_encoder import TextEncoder

# Models whose encoder is what is used of them; a head for pre-training is not.
ENCODERS = ("BertModel", "BertForMaskedLM", "BertForPreTraining")


def load_text_model(model: Path | None = None) -> TextEncoder:
    """By its `architectures`, a `TextClassifier` or a `TextEncoder`; by default the packaged encoder.

    Raises UnsupportedModuleError for a model whose head would be lost.
    """
    if model is None:
        return TextEncoder.load(None)
    folder, facts = checkpoint_folder(model)
    named = facts.get("architectures") or [ENCODERS[0]]
    if facts.get("model_type") == "bert" and named == [ARCHITECTURE]:
        return TextClassifier.load(folder)
    if facts.get("model_type") == "bert" and named[0] not in ENCODERS:
        raise UnsupportedModuleError(
            f"{folder}: architectures {named} is not supported; supported: "
            f"{', '.join((ARCHITECTURE, *ENCODERS))}"
        )
    return TextEncoder.load(folder)

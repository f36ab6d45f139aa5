"""`BertForSequenceClassification` from a folder in Hugging Face format."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import AegisError, UnsupportedModuleError
from aegis_fhe.models.checkpoint_folder import checkpoint_folder, load_bert
from aegis_fhe.models.text_encoder import EXAMPLE, TextEncoder
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.encoder import EncoderLayer, FirstToken, Head, encoder_layers

Array = NDArray[np.float64]

ARCHITECTURE = "BertForSequenceClassification"
PROBLEMS = (None, "single_label_classification", "regression")


@dataclass(frozen=True, eq=False)
class TextClassifier(TextEncoder):
    """A text encoder with a head. classifier: the whole module; `model` is the BertModel inside it."""

    classifier: Any

    @classmethod
    def load(cls, folder: Path | None = None) -> TextClassifier:
        """Loads config.json, model.safetensors and tokenizer.json.

        folder: a local one, or owner/name of the Hugging Face hub. Raises AegisError for missing weights, of
        the head too, UnsupportedModuleError for another architecture or kind of problem.
        """
        if folder is None:
            raise AegisError("no classifier is packaged: give a folder, `aegis train` makes one")
        found, facts = checkpoint_folder(folder)
        if facts.get("architectures") != [ARCHITECTURE]:
            raise UnsupportedModuleError(
                f"{found}: architectures {facts.get('architectures')} is no classifier; supported: "
                f"{ARCHITECTURE}"
            )
        if facts.get("problem_type") not in PROBLEMS:
            raise UnsupportedModuleError(
                f"{found}: classifier: problem_type {facts['problem_type']!r} is not supported; supported: "
                "single_label_classification, or regression with its one number"
            )
        found, module, tokenizer = load_bert(found, ARCHITECTURE)
        return cls(found, module.bert, tokenizer, module)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the logits, in their order."""
        config = self.classifier.config
        return tuple(str(config.id2label.get(i, f"LABEL_{i}")) for i in range(config.num_labels))

    def label(self, logits: Array) -> str | None:
        """The name of the largest logit; None in a regression, or where there is one alone: no choice."""
        choice = len(self.labels) > 1 and self.classifier.config.problem_type != "regression"
        return self.labels[int(np.argmax(logits))] if choice else None

    def parts(self) -> tuple[list[EncoderLayer], Head]:
        """The layers and the head, read through `torch.export`. Raises UnsupportedModuleError."""
        captured = capture_network(self.classifier, EXAMPLE, output="logits")
        layers, head = encoder_layers(captured.network, captured.weights)
        assert isinstance(head, FirstToken)
        return layers, dataclasses.replace(head, labels=self.labels)

    def logits(self, hidden: Array) -> Array:
        """Embedded text [tokens, features] -> logits [labels], in float32 PyTorch."""
        states = torch.from_numpy(self.states(hidden)).float()[None]
        with torch.no_grad():
            found: torch.Tensor = self.classifier.classifier(self.model.pooler(states))[0]
        return found.double().numpy()

    def fingerprint(self) -> str:
        """Digest of all weights, the head's included."""
        return self._digest(
            self.model.embeddings, self.model.encoder, self.model.pooler, self.classifier.classifier
        )

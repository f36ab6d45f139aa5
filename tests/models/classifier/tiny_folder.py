"""A tiny BertForSequenceClassification as a folder: random weights, a tokenizer of whole words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertForSequenceClassification

from program.encoder.tiny_classifier import VOCABULARY, bert_config, tiny_model

LABELS = ("blame", "praise", "neither")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [*SPECIAL, *(f"w{i}" for i in range(VOCABULARY - len(SPECIAL)))]


def write_tokenizer(path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(path / "tokenizer.json"))


def write_classifier(path: Path, labels: tuple[str, ...] = LABELS) -> Path:
    """The module of `tiny_model`, with names for its logits."""
    source, _ = tiny_model(len(labels))
    module = BertForSequenceClassification(bert_config(len(labels), id2label=dict(enumerate(labels))))
    module.load_state_dict(source.state_dict())
    module.save_pretrained(path)
    write_tokenizer(path)
    return path


def changed(path: Path, **facts: Any) -> Path:
    """The folder with other lines in its config.json."""
    config = path / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **facts}))
    return path


def without(path: Path, lost: str) -> Path:
    """The folder with a weight less."""
    from safetensors.torch import load_file, save_file

    file = path / "model.safetensors"
    weights: dict[str, torch.Tensor] = {name: x.clone() for name, x in load_file(file).items()}
    del weights[lost]
    save_file(weights, file, metadata={"format": "pt"})
    return path


def sentences(count: int, seed: int = 7) -> list[str]:
    """Of two to ten words."""
    rng = np.random.default_rng(seed)
    words = WORDS[len(SPECIAL) :]
    return [" ".join(rng.choice(words, size)) for size in rng.integers(2, 11, count)]

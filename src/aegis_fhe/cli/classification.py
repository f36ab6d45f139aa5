"""Labels of texts by a compiled classifier, in one of three modes, beside those of the clear model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from aegis_fhe.cli.modes import ModeOptions, run_texts
from aegis_fhe.models.classifier import TextClassifier
from aegis_fhe.observe.table import format_seconds, results_table
from aegis_fhe.program.compiled import CompiledProgram


def classifications(
    classifier: TextClassifier, program: CompiledProgram, ids: Sequence[Sequence[int]], options: ModeOptions
) -> dict[str, Any]:
    """The facts of `run_texts`, and of every text logits and the label, by the program and by PyTorch.

    labels: null for a model of one logit, which is a number and no choice.
    """
    hidden, results, facts = run_texts(classifier, program, ids, options)
    found = [result.logits for result in results]
    clear = [classifier.logits(one) for one in hidden]
    facts["names"] = list(classifier.labels)
    facts["logits"] = [logits.tolist() for logits in found]
    facts["logits_of_clear_model"] = [logits.tolist() for logits in clear]
    facts["labels"] = [classifier.label(logits) for logits in found]
    facts["labels_of_clear_model"] = [classifier.label(logits) for logits in clear]
    facts["max_abs_error"] = float(np.abs(np.array(found) - np.array(clear)).max())
    return facts


def print_classifications(console: Console, texts: Sequence[str], facts: dict[str, Any]) -> None:
    """A row for each text: label and logits, then PyTorch's."""
    rows = [
        (text if len(text) <= 40 else text[:37] + "...", *mine, *theirs)
        for text, mine, theirs in zip(
            texts, _columns(facts, ""), _columns(facts, "_of_clear_model"), strict=True
        )
    ]
    columns = ("text", "label", "logits", "PyTorch's", "logits")
    console.print(results_table(f"Labels, {facts['mode']}: {', '.join(facts['names'])}", columns, rows))
    error, seconds = facts["max_abs_error"], format_seconds(facts["seconds"])
    console.print(f"largest error of a logit: {error:.1e}; everything: {seconds}")


def _columns(facts: dict[str, Any], whose: str) -> list[tuple[str, str]]:
    """(label, logits) of every text."""
    return [
        (label or "", " ".join(f"{logit:.4f}" for logit in logits))
        for label, logits in zip(facts[f"labels{whose}"], facts[f"logits{whose}"], strict=True)
    ]

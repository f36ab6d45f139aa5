"""A classifier as an encrypted program: all layers, pooler, tanh, logits."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_fhe.errors import RangeError
from aegis_fhe.models.classifier.checkpoint import TextClassifier
from aegis_fhe.models.minilm.recipe import TOKENS, calibrate
from aegis_fhe.models.ranges_file import read_ranges
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.encoder import EncoderRanges, compile_encoder

# In the checkpoint's folder, where a training wrote them.
RANGES = "ranges.json"


def ranges_for(classifier: TextClassifier, texts: Sequence[str], *, tokens: int = TOKENS) -> EncoderRanges:
    """A calibration on the texts; without texts what ranges.json of the checkpoint's folder says.

    Raises RangeError when there is neither, CompatibilityError for ranges of other weights.
    """
    file = classifier.folder / RANGES
    if texts:
        return calibrate(classifier, texts, tokens=tokens)
    if file.is_file():
        return read_ranges(file, classifier).ranges
    raise RangeError(
        f"{classifier.folder} has no {RANGES}: give sample text to calibrate on (--calibration FILE, one "
        "text per line)"
    )


def compile_classifier(
    classifier: TextClassifier,
    *,
    tokens: int = TOKENS,
    calibration: Sequence[str] = (),
    ranges: EncoderRanges | None = None,
) -> CompiledProgram:
    """All layers and the head, for texts of up to `tokens` tokens -> logits; 128 bits, N = 2^16."""
    layers, head = classifier.parts()
    return compile_encoder(
        layers,
        ranges_for(classifier, calibration, tokens=tokens) if ranges is None else ranges,
        max_tokens=tokens,
        head=head,
        origin=f"{classifier.name}: {' | '.join(classifier.labels)}",
    )

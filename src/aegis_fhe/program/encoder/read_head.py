"""The head that a network ends with, and the last layer's value that it is applied to."""

from __future__ import annotations

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.encoder.head import FirstToken, Head
from aegis_fhe.program.encoder.walk import EncoderWalk
from aegis_fhe.program.network import Linear, MeanTokens, TakeToken, Tanh
from aegis_fhe.program.returns import HiddenStates, TokenMean


def read_head(walk: EncoderWalk, result: str) -> tuple[Head, str]:
    """(head, value): MeanTokens(value), tanh(Linear(first token of value)), a Linear of that, or the value.

    Labels of a classifier are numbered, LABEL_0 and so on, as Hugging Face does without names. Raises
    UnsupportedModuleError naming the module path of what a head is not.
    """
    if walk.made_by(result, MeanTokens):
        return TokenMean(), walk.producers[result].inputs[0]
    if walk.made_by(result, TakeToken):
        raise UnsupportedModuleError(
            f"{walk.producers[result].path or result}: one token's hidden states cannot be a result; nearest "
            "supported form: all of them, their mean, or tanh(Linear(first token))"
        )
    if walk.made_by(result, Tanh):
        return _first_token(walk, result, None)
    if walk.made_by(result, Linear):
        return _first_token(walk, walk.producers[result].inputs[0], result)
    return HiddenStates(), result


def _first_token(walk: EncoderWalk, pooled: str, logits: str | None) -> tuple[Head, str]:
    _, activation = walk.expect(pooled, Tanh, "what the classifier is applied to")
    pooler, node = walk.linear(activation.inputs[0], "the input of tanh")
    take, first = walk.expect(node.inputs[0], TakeToken, "the input of the pooler")
    if take.index != 0:
        raise UnsupportedModuleError(f"{node.path}: is applied to the last token; supported: the first")
    if logits is None:
        return FirstToken(pooler=pooler), first.inputs[0]
    classifier, _ = walk.linear(logits, "the classifier")
    labels = tuple(f"LABEL_{label}" for label in range(len(classifier.weight)))
    return FirstToken(pooler=pooler, classifier=classifier, labels=labels), first.inputs[0]

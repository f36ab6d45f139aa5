"""Which decoder a name means: the packaged SmolLM2, a GGUF file, a folder of GPT-2 or LLaMA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.models.checkpoint_folder import FILES
from aegis_fhe.models.config_file import read_config
from aegis_fhe.models.decoder_model import DecoderModel
from aegis_fhe.models.gpt2 import GPT2
from aegis_fhe.models.hub import model_folder
from aegis_fhe.models.smollm2 import SmolLM2
from aegis_fhe.models.smollm2.checkpoint import GGUF

PACKAGED = "smollm2"
_LOADERS: dict[str, Callable[[Path], DecoderModel]] = {"gpt2": GPT2.load, "llama": SmolLM2.load}
# What `decoder_kind` may answer.
KINDS = frozenset({PACKAGED, *_LOADERS})


def decoder_kind(model: str) -> str | None:
    """One of KINDS, or None for a model that is no decoder."""
    if model == PACKAGED:
        return PACKAGED
    if model.endswith(GGUF):
        return "llama"
    config = model_folder(Path(model), FILES) / "config.json"
    kind = read_config(config).get("model_type") if config.is_file() else None
    return kind if isinstance(kind, str) and kind in KINDS else None


def load_decoder(kind: str, path: Path | None) -> DecoderModel:
    """The model; path: None for the packaged one. Raises AegisError, UnsupportedModuleError."""
    if kind == PACKAGED:
        return SmolLM2.load(path)
    if kind not in _LOADERS or path is None:
        raise UnsupportedModuleError(f"{kind!r} is no decoder; supported: {', '.join(sorted(KINDS))}")
    return _LOADERS[kind](path)

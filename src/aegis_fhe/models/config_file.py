"""config.json of a checkpoint in Hugging Face format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aegis_fhe.errors import AegisError


def read_config(config: Path) -> dict[str, Any]:
    """What it says of the model: `model_type`, `architectures`. Raises AegisError for what is none."""
    try:
        facts = json.loads(config.read_text())
    except (ValueError, OSError) as error:
        raise AegisError(f"{config} is not readable JSON: {error}") from error
    if not isinstance(facts, dict):
        raise AegisError(f"{config} is not a model's configuration: expected a JSON object")
    return facts

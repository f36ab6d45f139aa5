"""Checkpoints from the Hugging Face hub, where there is a network; from its cache where there is none."""

from __future__ import annotations

import re
from pathlib import Path

from aegis_fhe.errors import AegisError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def model_folder(model: Path, files: tuple[str, ...]) -> Path:
    """The folder itself, or a download of these files of the repository `owner/name` from the hub.

    No other file is fetched, so nothing pickled. Raises AegisError when it is neither, or cannot be fetched.
    """
    if model.is_dir():
        return model
    name = model.as_posix()
    if not _NAME.fullmatch(name):
        raise AegisError(f"{name} is neither a folder nor a repository owner/name of the Hugging Face hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(files)))
    except (OSError, ValueError) as error:  # all that the hub raises are of these kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise AegisError(
            f"{name} is no folder, and the Hugging Face hub does not give it ({reason}): check the name and "
            "the network, or give a local folder"
        ) from error

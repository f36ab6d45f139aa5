"""Models by name: a folder is taken as it is, a repository is fetched without anything pickled."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_fhe.errors import AegisError
from aegis_fhe.models.hub import model_folder

FILES = ("config.json", "model.safetensors")


def test_a_folder_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    assert model_folder(tmp_path, FILES) == tmp_path


def test_a_repository_is_fetched_file_by_file(tmp_path, monkeypatch):
    asked = []

    def download(name: str, *, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert model_folder(Path("owner/a-model.v2"), FILES) == tmp_path
    assert asked == [("owner/a-model.v2", list(FILES))]


@pytest.mark.parametrize("name", ["nothing", "/owner/name", "a/b/c", "../owner", "owner/na me"])
def test_what_is_neither_is_refused(name):
    with pytest.raises(AegisError, match="neither a folder nor a repository"):
        model_folder(Path(name), FILES)


def test_without_a_network_the_cure_is_said(monkeypatch):
    def download(name: str, *, allow_patterns: list[str]) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(AegisError, match=r"no route to host.*give a local folder"):
        model_folder(Path("owner/model"), FILES)

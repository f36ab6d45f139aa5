"""Compiled kernels on disk: read again when nothing changed, else made again, as when a file is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_fhe.ring.cuda import cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AEGIS_CACHE_DIR", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


class Maker:
    """Makes something else each time."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> bytes:
        self.made += 1
        return b"image %d" % self.made


def test_equal_facts_are_made_once() -> None:
    make = Maker()
    assert cache.remembered({"a": "1"}, make) == b"image 1"
    assert cache.remembered({"a": "1"}, make) == b"image 1"
    assert cache.remembered({"a": "2"}, make) == b"image 2"
    assert cache.remembered({"a": "1", "b": ""}, make) == b"image 3"


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:32] + b"x" + b[33:]])
def test_a_damaged_file_is_made_anew(damage: object, folder: Path) -> None:
    make = Maker()
    cache.remembered({"a": "1"}, make)
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    assert cache.remembered({"a": "1"}, make) == b"image 2"
    assert cache.remembered({"a": "1"}, make) == b"image 2"


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("AEGIS_CACHE_DIR", str(tmp_path / "file"))
    make = Maker()
    assert cache.remembered({"a": "1"}, make) == b"image 1"
    assert cache.remembered({"a": "1"}, make) == b"image 2"


def test_the_folder_follows_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AEGIS_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.folder() == Path("/somewhere/aegis-fhe")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == Path.home() / ".cache" / "aegis-fhe"

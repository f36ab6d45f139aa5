"""A decoder's file gives back the program that was written, layer by layer, and no other."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aegis_fhe.errors import AegisError, ContainerError
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.service.container import ContainerReader, ContainerWriter
from aegis_fhe.service.decoder_file import KIND, open_decoder, save_decoder
from program.long.tiny_decoders import TinyDecoder, tiny_gpt2


@pytest.fixture(scope="module")
def decoder() -> TinyDecoder:
    return TinyDecoder.of(tiny_gpt2())


@pytest.fixture(scope="module")
def program(decoder: TinyDecoder) -> DecoderProgram:
    return decoder.compile()


@pytest.fixture
def path(program: DecoderProgram, tmp_path: Path) -> Path:
    save_decoder(program, tmp_path / "program.aegis")
    return tmp_path / "program.aegis"


def parts_of(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, torch.Tensor]]]:
    with ContainerReader(path, KIND) as reader:
        return reader.metadata, {chunk.name: chunk.tensors for chunk in reader}


def write(path: Path, metadata: dict[str, Any], chunks: dict[str, dict[str, torch.Tensor]]) -> Path:
    """A file that no checksum objects to."""
    with ContainerWriter(path, KIND, metadata) as writer:
        for name, tensors in chunks.items():
            writer.add(name, tensors)
    return path


def test_round_trip_to_the_bit(decoder: TinyDecoder, program: DecoderProgram, path: Path) -> None:
    hidden = decoder.embed(decoder.texts[40])
    with open_decoder(path) as loaded:
        assert loaded.fingerprint == program.fingerprint
        assert loaded.params == program.params
        assert loaded.origin == program.origin
        assert loaded.key_requests() == program.key_requests()
        assert loaded.result_symbols() == program.result_symbols()
        for index in range(2):
            mine, theirs = program.constants(index), loaded.constants(index)
            assert set(mine) == set(theirs)
            for name, values in mine.items():
                np.testing.assert_array_equal(theirs[name], values)
        np.testing.assert_array_equal(loaded.run_clear(hidden).hidden, program.run_clear(hidden).hidden)


def test_a_file_written_again_is_the_same_file(program: DecoderProgram, path: Path, tmp_path: Path) -> None:
    with open_decoder(path) as loaded:
        save_decoder(loaded, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_a_damaged_file_is_refused(decoder: TinyDecoder, path: Path, part: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * part)] ^= 1
    path.write_bytes(data)
    with pytest.raises(ContainerError), open_decoder(path) as loaded:
        loaded.run_clear(decoder.embed(decoder.texts[40]))


def test_a_short_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ContainerError, match="truncated"), open_decoder(path):
        pass


def test_other_weights_are_refused_though_the_checksum_is_right(path: Path, tmp_path: Path) -> None:
    metadata, chunks = parts_of(path)
    changed = chunks["layer.1"]["down.weight"].clone()
    changed.view(-1)[0] += 2.0**-40
    chunks["layer.1"] = {**chunks["layer.1"], "down.weight": changed}
    with open_decoder(write(tmp_path / "p", metadata, chunks)) as loaded:
        loaded.constants(0)
        with pytest.raises(ContainerError, match="other constants of layer 1"):
            loaded.constants(1)


def test_descriptions_that_do_not_fit_are_refused(path: Path, tmp_path: Path) -> None:
    metadata, chunks = parts_of(path)

    def refused(change: Any, match: str, chunks: Any = chunks) -> None:
        other = copy.deepcopy(metadata)
        change(other)
        with pytest.raises(AegisError, match=match), open_decoder(write(tmp_path / "p", other, chunks)):
            pass

    refused(lambda m: m.pop("program"), "no program description")
    refused(lambda m: m["program"].pop("layout"), "incomplete or malformed")
    refused(lambda m: m["program"].update(layers=[]), "no layer")
    refused(lambda m: m["program"]["layers"][1].update(hidden_bound=3.0), "do not fit together")
    refused(lambda m: m["program"].update(max_tokens=15), "another version of the compiler")
    refused(lambda m: None, "constants of 2 layers", {"layer.0": chunks["layer.0"]})

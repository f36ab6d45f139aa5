"""Two layers of GPT-2 and of LLaMA on ciphertexts, bootstraps included, through files and a worker."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from aegis_fhe.errors import CompatibilityError, RangeError
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.service.ciphertexts_file import load_input, load_results
from aegis_fhe.service.client import Client
from aegis_fhe.service.decoder_file import open_decoder, save_decoder
from aegis_fhe.service.session import SessionResult, run_decoder_session
from program.long.tiny_decoders import PUBLIC, TinyDecoder, tiny_gpt2, tiny_llama

MODELS = {"gpt2": tiny_gpt2, "llama": tiny_llama}


@pytest.fixture(scope="module", params=sorted(MODELS))
def decoder(request: pytest.FixtureRequest) -> TinyDecoder:
    return TinyDecoder.of(MODELS[request.param]())


@pytest.fixture(scope="module")
def program(decoder: TinyDecoder) -> DecoderProgram:
    return decoder.compile()


def test_encrypted_layers_are_the_models(
    decoder: TinyDecoder, program: DecoderProgram, tmp_path: Path
) -> None:
    """Hidden states of two texts, one shorter than the program, against PyTorch's own."""
    save_decoder(program, tmp_path / "stored.aegis")
    ids = [decoder.texts[40], decoder.texts[41][:12]]
    events: list[ProgressEvent] = []
    with open_decoder(tmp_path / "stored.aegis") as loaded:
        client = Client(loaded, seed=b"tiny decoders of two layers each")
        session = run_decoder_session(
            loaded,
            client,
            [decoder.embed(one) for one in ids],
            threads=1,
            folder=tmp_path,
            stored=tmp_path / "stored.aegis",
            on_progress=events.append,
        )
    for one, result in zip(ids, session.results, strict=True):
        exact = decoder.exact(one)
        clear = program.run_clear(decoder.embed(one)).hidden
        rms = np.sqrt((exact[PUBLIC:] ** 2).mean())
        noise = np.abs(result.hidden - clear).max() / rms
        assert 2.0**-40 < noise < 1e-3
        assert np.abs(result.hidden - exact)[PUBLIC:].max() < 3e-3 * rms
    check_report(session, events)
    assert (tmp_path / "program.aegis").read_bytes() == (tmp_path / "stored.aegis").read_bytes()
    refused(program, tmp_path)


def check_report(session: SessionResult, events: list[ProgressEvent]) -> None:
    """Every stage was seen, all work was announced as done, and the worker knew no secret."""
    assert {"load", "qkv", "attend", "refresh", "contract"} <= set(session.report.seconds)
    assert max(event.fraction for event in events) == pytest.approx(1.0, abs=1e-6)
    assert session.report.bytes_between_devices == 0


def refused(program: DecoderProgram, folder: Path) -> None:
    """Files of one program are no other's."""
    renamed = dataclasses.replace(program, origin="another")
    with pytest.raises(CompatibilityError, match="another program"):
        load_input(renamed, folder / "input-0.aegis")
    with pytest.raises(CompatibilityError, match="another program"):
        load_results(renamed, [folder / "result-0-0.aegis"])


def test_a_text_too_long_is_refused_before_any_work(program: DecoderProgram) -> None:
    client = Client(program, seed=b"tiny decoders of two layers each")
    with pytest.raises(RangeError, match="shorten the text"):
        run_decoder_session(program, client, [np.zeros((program.max_tokens + 1, program.features))])

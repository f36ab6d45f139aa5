"""Which peer a machine has: OpenFHE, else TenSEAL, else none; and why it is that one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aegis_fhe.bench.openfhe_peer import start_openfhe
from aegis_fhe.bench.openfhe_python import find_openfhe
from aegis_fhe.bench.peer import Peer
from aegis_fhe.bench.tenseal_peer import TensealPeer
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import ParameterError, PeerError

CHOICES = ("auto", "openfhe", "tenseal", "none")


def choose_peer(
    choice: str,
    params: Parameters,
    threads: int,
    *,
    python: Path | None,
    install: bool,
    say: Callable[[str], None],
) -> Peer | None:
    """The peer named by `choice`, started; "auto" takes what there is and tells `say` what is missing.

    python: an interpreter that imports openfhe, by default one is looked for; install: make one if needed.
    Raises ParameterError for another choice, PeerError when a peer that was named cannot start.
    """
    if choice not in CHOICES:
        raise ParameterError(f"--peer {choice!r} is unknown: choose {', '.join(CHOICES)}")
    if choice == "none":
        return None
    if choice == "tenseal":
        return TensealPeer(params, threads)
    try:
        interpreter = find_openfhe(Path.home(), install=install, say=say) if python is None else python
        return start_openfhe(interpreter, params, threads)
    except PeerError as error:
        if choice == "openfhe" or python is not None:
            raise
        say(f"no OpenFHE: {error}")
    return _tenseal_or_none(params, threads, say)


def _tenseal_or_none(params: Parameters, threads: int, say: Callable[[str], None]) -> Peer | None:
    try:
        peer = TensealPeer(params, threads)
    except PeerError as error:
        say(f"no TenSEAL in its place: {error}; rows of the scheme stay without a peer")
        return None
    say(f"{peer.facts.name} takes its place: {peer.facts.description}")
    return peer

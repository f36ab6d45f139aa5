"""`aegis layer --job`: workers that are killed are started again and go on, on one host and on several."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import Answer

Aegis = Callable[..., Answer]
RUN = ("--insecure", "--json", "--seed", "layer")
HOSTS = ("10.213.77.1", "10.213.77.2")


def ranks() -> dict[int, psutil.Process]:
    """All that descend from this process and run a rank."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if "aegis_fhe.service.plan_elastic" in process.cmdline() and "RANK" in process.environ():
                found[int(process.environ()["RANK"])] = process
        except psutil.Error:
            continue
    return found


def until(found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What it finds at last."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def same(facts: dict[str, Any], undisturbed: dict[str, Any]) -> None:
    """Bits and bytes; memory is at most that of a run without cuts, at which no room for later is taken."""
    for name in ("result_digest", "received_bytes", "predicted_received_bytes"):
        assert facts[name] == undisturbed[name]
    for held, predicted in zip(facts["held_bytes"], facts["predicted_held_bytes"], strict=True):
        assert held["total"] <= 1.01 * predicted["total"]
        assert (held["keys"], held["weights"]) == (predicted["keys"], predicted["weights"])


def has_checkpoints(job: Path) -> bool:
    """Of both ranks."""
    return all(list((job / "checkpoints").glob(f"checkpoint-{rank}-*")) for rank in (0, 1))


def test_a_killed_worker(aegis: Aegis, plan: Path, undisturbed: dict[str, Any], tmp_path: Path):
    """All go on from a checkpoint, and leave no process and no file of it."""
    job, killed = tmp_path / "job", list[psutil.Process]()

    def kill_one() -> None:
        until(lambda: has_checkpoints(job))
        killed.append(ranks()[1])
        killed[0].send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    answer = aegis("layer", plan, *RUN, "--job", job)
    killer.join()
    assert answer.status == 0, answer.err
    facts = json.loads(answer.out)
    same(facts, undisturbed)
    assert min(facts["began_at"]) == max(facts["began_at"]) > 0
    assert killed
    assert not ranks()
    left = {path.name.partition(".")[0].partition("-")[0] for path in job.iterdir()}
    assert left == {"input", "job", "keys", "plan", "program", "report", "result"}


def test_workers_that_always_fail(aegis: Aegis, plan: Path, tmp_path: Path):
    """Which rank, where, and in its own words."""
    job = tmp_path / "job"

    def damage() -> None:
        until((job / "job.json").exists)
        (job / "input.aegis").write_bytes(b"no ciphertext")

    spoiler = threading.Thread(target=damage)
    spoiler.start()
    answer = aegis("layer", plan, *RUN, "--job", job, "--restarts", 0)
    spoiler.join()
    assert answer.status == 2
    (line,) = answer.err.splitlines()[-1:]
    assert re.search(r"worker [01] of 2, at 'load', failed: ContainerError: .*not an AEGIS file", line)
    assert not ranks()


def test_hosts_need_a_folder(aegis: Aegis, plan: Path):
    answer = aegis("layer", plan, *RUN, "--hosts")
    assert answer.status == 2
    assert "--hosts needs --job FOLDER" in answer.err


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a wire between them; the test is skipped where they cannot be made."""
    names = [f"aegis-{os.getpid()}-{number}" for number in range(2)]
    lines = [f"netns add {name}" for name in names]
    lines += [f"link add wire netns {names[0]} type veth peer name wire netns {names[1]}"]
    for name, address in zip(names, HOSTS, strict=True):
        lines += [f"-n {name} address add {address}/24 dev wire"]
        lines += [f"-n {name} link set {device} up" for device in ("wire", "lo")]
    try:
        for line in lines:
            try:
                subprocess.run(["ip", *line.split()], check=True, capture_output=True, text=True)
            except (OSError, subprocess.CalledProcessError) as error:
                reason = getattr(error, "stderr", "") or error
                pytest.skip(f"no network namespaces here: ip {line}: {reason}")
        yield names[0], names[1]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def torchrun(number: int, host: str, job: Path) -> subprocess.Popen[bytes]:
    """As the documents say, on one host. The names of these hosts tell nobody who is the first of them."""
    first = str(number == 0).lower()
    command = f"ip netns exec {host} {sys.executable} -m torch.distributed.run --nnodes 2 --nproc-per-node 1"
    command += f" --rdzv-backend c10d --rdzv-endpoint {HOSTS[0]}:29412 --rdzv-conf is_host={first}"
    command += f" --local-addr {HOSTS[number]} --max-restarts 3 -m aegis_fhe.service.plan_elastic {job}"
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "wire", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command.split(), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def received_bytes(host: str) -> int:
    """By the host's end of the wire."""
    path = "/sys/class/net/wire/statistics/rx_bytes"
    found = subprocess.run(["ip", "netns", "exec", host, "cat", path], check=True, capture_output=True)
    return int(found.stdout)


def test_several_hosts(plan: Path, undisturbed: dict[str, Any], tmp_path: Path, hosts: tuple[str, str]):
    """A rank on each, through the network alone; they find each other by torchrun's rendezvous."""
    job, options = tmp_path / "job", tmp_path / "job" / "job.json"
    command = [sys.executable, "-m", "aegis_fhe.cli.main", "layer", str(plan), *RUN, "--job", str(job)]
    client = subprocess.Popen([*command, "--hosts"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    processes = [client]
    try:
        until(options.exists)
        options.write_text(json.dumps({**json.loads(options.read_text()), "host_memory": False}))
        processes += [torchrun(number, host, job) for number, host in enumerate(hosts)]
        out, _ = client.communicate(timeout=120)
        crossed = [received_bytes(host) for host in hosts]
        assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    same(json.loads(out), undisturbed)
    for count, received in zip(crossed, undisturbed["received_bytes"], strict=True):
        assert count > sum(one[-1] for one in received)

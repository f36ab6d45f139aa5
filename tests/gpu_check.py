"""Everything that a GPU has to show, in minutes: `make gpu-check`. Any failure ends it.

Its kernels against those of the processor, bit for bit; a layer with the processor's digest; operations of
ring and scheme, and a bootstrap, timed; a layer at growing lengths; what a row of every kernel costs, for the
planner. Rows go to benchmarks/results.

A rehearsal without a GPU, its kernels on emulated threads and everything small:

    make gpu-check ARGS="--gpu emulated-gpu --rehearse"
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aegis_fhe.errors import CapacityError
from aegis_fhe.placement.plan_file import read_plan_file
from aegis_fhe.runtime.gpus import require_gpu_memory

AEGIS = (sys.executable, "-c", "from aegis_fhe.cli.main import main; main()")
TESTS = Path(__file__).parent
RESULTS = TESTS.parent / "benchmarks" / "results"


@dataclass(frozen=True, kw_only=True)
class Check:
    """The kernel path and the sizes. log_degree: of bootstraps; operations: of the ring's benchmark, which
    is at 2^16; model, parameters: of layers, one for each of `tokens`; tests: what pytest is told.
    """

    gpu: str
    folder: Path
    results: Path
    log_degree: int = 16
    operations: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    model: str = "bert-base"
    parameters: tuple[str, ...] = ()
    tokens: tuple[int, ...] = (128, 512, 1024, 2048)
    calibrated: bool = True

    @classmethod
    def rehearsal(cls, gpu: str, folder: Path, results: Path) -> Check:
        """In minutes on two cores."""
        return cls(
            gpu=gpu,
            folder=folder,
            results=results,
            log_degree=8,
            operations=("--operations", "ntt,modmul"),
            tests=(str(TESTS / "ring" / "test_paths.py"),),
            model="tiny",
            parameters=("--parameters", "tiny", "--insecure"),
            tokens=(64,),
            calibrated=False,
        )

    def run(self) -> None:
        """All steps, in turn."""
        aegis("doctor", "--device", self.gpu)
        step("kernels, against those of the processor")
        said([sys.executable, "-m", "pytest", "--kernel-path", self.gpu, *self.tests])
        step("a layer with the processor's digest")
        self.same_digest()
        step("operations")
        rows, device = self.results / "ring-gpu.jsonl", ("--device", self.gpu)
        aegis("bench", "ring", *device, *self.operations, "--output", str(rows))
        step("bootstrap")
        rows, degree = self.results / "bootstrap-gpu.jsonl", ("--n", str(self.log_degree))
        aegis("bench", "bootstrap", *device, *degree, "--output", str(rows))
        step("a layer at growing lengths")
        self.growing()
        if self.calibrated:
            step("what kernels cost")
            aegis("calibrate", "--kernels", *device, "--output", str(self.results / "gpu-device.json"))

    def same_digest(self) -> None:
        """Of one layer of no security, with equal weights, text and keys, on both."""
        plan = self.planned("tiny", 64, ("--parameters", "tiny", "--insecure"))
        found = {}
        for path in (None, self.gpu):
            kernels = () if path is None else ("--kernels", path)
            made = aegis("layer", str(plan), "--insecure", "--seed", "gpu", *kernels, "--json", quiet=True)
            found[path] = json.loads(made)["result_digest"]
        if len(set(found.values())) > 1:
            sys.exit(f"gpu-check: digests differ: {found}")
        print(f"both {found[None]}")

    def growing(self) -> None:
        """Up to where it does not fit any more; the shortest must."""
        for tokens in self.tokens:
            plan = self.planned(self.model, tokens, self.parameters)
            needed = sum(read_plan_file(plan).plan(None).memory.values())
            try:
                require_gpu_memory(self.gpu, needed, f"a layer of {tokens} tokens")
            except CapacityError as error:
                if tokens == self.tokens[0]:
                    sys.exit(f"gpu-check: {error}")
                print(error)
                return
            insecure = ("--insecure",) if "--insecure" in self.parameters else ()
            rows = self.results / "layer-gpu.jsonl"
            aegis("layer", str(plan), *insecure, "--kernels", self.gpu, "--output", str(rows))

    def planned(self, model: str, tokens: int, parameters: tuple[str, ...]) -> Path:
        """The file of a plan for one device of memory without end: what there is, is asked of the GPU."""
        path = self.folder / f"{model}-{tokens}.json"
        sizes = ("--tokens", str(tokens), "--devices", "1", "--device-memory", "1TiB", "--device", "h200")
        aegis("plan", "--model", model, *sizes, *parameters, "--output", str(path), "--json", quiet=True)
        return path


def step(name: str) -> None:
    """What comes now."""
    print(f"\n== {name}", flush=True)


def aegis(*arguments: str, quiet: bool = False) -> str:
    """What the command prints, which is shown too unless quiet."""
    return said([*AEGIS, *arguments], quiet=quiet)


def said(command: list[str], *, quiet: bool = False) -> str:
    """As `aegis`. Ends everything where the command fails, with its status: it has said why."""
    done = subprocess.run(command, stdout=subprocess.PIPE if quiet else None, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout or ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make gpu-check")
    parser.add_argument("--gpu", default="cuda", help="the kernel path")
    parser.add_argument("--rehearse", action="store_true", help="everything small")
    parser.add_argument("--results", type=Path, default=RESULTS, help="a folder for rows")
    given = parser.parse_args()
    make = Check.rehearsal if given.rehearse else Check
    with tempfile.TemporaryDirectory() as folder:
        make(gpu=given.gpu, folder=Path(folder), results=given.results).run()
    step("all is well")


if __name__ == "__main__":
    main()

"""The arena reuses memory, never while a view of it lives, and does not keep what it does not need."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from functools import cache

import pytest
import torch

from aegis_fhe.errors import CapacityError
from aegis_fhe.ring import find_primes
from aegis_fhe.ring.arena import Arena

from .rings import Ring, strides_matter

MIB = 1 << 20
SHAPE = (3, 5, 65536)  # 7.5 MiB
SHAPE_BYTES = 3 * 5 * 65536 * 8


def words(mib: float) -> tuple[int]:
    return (round(mib * MIB / 8),)


def test_memory_of_a_dead_tensor_is_reused():
    arena = Arena()
    first = arena.empty(SHAPE)
    address = first.data_ptr()
    assert (first.dtype, tuple(first.shape), first.is_contiguous()) == (torch.int64, SHAPE, True)
    second = arena.empty(SHAPE)
    assert second.data_ptr() != address
    del first
    assert arena.empty(SHAPE).data_ptr() == address
    assert arena.blocks_made == 2


def test_the_block_freed_last_is_reused_first():
    arena = Arena()
    tensors = [arena.empty(SHAPE) for _ in range(3)]
    addresses = [x.data_ptr() for x in tensors]
    for i in (1, 2, 0):
        tensors[i] = None
    again = [arena.empty(SHAPE) for _ in range(3)]
    assert [x.data_ptr() for x in again] == [addresses[i] for i in (0, 2, 1)]


@pytest.mark.parametrize(
    "view",
    [lambda x: x[1], lambda x: x.reshape(-1)[7:9], lambda x: x.view(torch.float64), lambda x: x.numpy()],
    ids=["row", "reshape", "dtype", "numpy"],
)
def test_a_view_keeps_the_memory(view):
    """Whatever kind of view, and it still reads what was written."""
    arena = Arena()
    x = arena.zeros(SHAPE)
    address, alive = x.data_ptr(), view(x)
    del x
    other = arena.empty(SHAPE).fill_(-1)
    assert other.data_ptr() != address
    assert arena.bytes().in_use == 2 * block_bytes(SHAPE_BYTES)
    assert not alive.any()
    del alive
    assert arena.bytes().in_use == block_bytes(SHAPE_BYTES)


@cache
def block_bytes(size: int) -> int:
    arena = Arena()
    kept = arena.empty((size // 8,))
    assert kept.nbytes == size
    return arena.bytes().in_use


@pytest.mark.parametrize("size", [64 << 10, (64 << 10) + 8, MIB + 8, 3 * MIB + 4096, 33 * MIB - 8])
def test_a_block_is_little_larger_than_its_tensor(size):
    assert size <= block_bytes(size) <= size * 17 // 16


@pytest.mark.parametrize("limbs", [2 * 30, 3 * 39, 2 * 39, 2 * 13, 17])
def test_shapes_of_whole_rows_waste_little(limbs):
    """The rows of N = 2^16 are half a MiB each."""
    size = limbs * 65536 * 8
    assert block_bytes(size) <= size * 33 // 32


def test_counters_tell_what_is_held():
    arena = Arena()
    x, y = arena.empty(words(4)), arena.empty(words(2))
    assert (arena.bytes().in_use, arena.bytes().cached) == (6 * MIB, 0)
    del x
    assert (arena.bytes().in_use, arena.bytes().cached) == (2 * MIB, 4 * MIB)
    assert (arena.bytes().peak_in_use, arena.bytes().peak_held) == (6 * MIB, 6 * MIB)
    arena.reset_peaks()
    assert (arena.bytes().peak_in_use, arena.bytes().peak_held) == (2 * MIB, 6 * MIB)
    del y


def test_trim_returns_what_is_cached_only():
    arena = Arena()
    kept = arena.zeros(words(4))
    arena.empty(words(8))
    assert arena.trim() == 8 * MIB
    assert (arena.bytes().in_use, arena.bytes().cached) == (4 * MIB, 0)
    assert arena.trim() == 0
    assert not kept.any()


def test_a_thousand_shapes_do_not_add_up():
    """Alternating and growing shapes: what is held stays within the fullest moment and the slack."""
    arena = Arena(slack_bytes=8 * MIB)
    for i in range(1000):
        x = arena.empty(words(1 + (i * 37 % 100) / 10))
        y = arena.empty(words(1 + (i * 91 % 70) / 10))
        assert x.data_ptr() != y.data_ptr()
    held = arena.bytes()
    assert held.peak_held <= held.peak_in_use + 8 * MIB
    assert held.peak_in_use <= 30 * MIB


def test_the_blocks_unused_for_longest_serve_other_shapes_first():
    arena = Arena(slack_bytes=0)
    together = [arena.empty(words(size)) for size in (4, 6, 8)]
    together.clear()
    recent = arena.empty(words(4)).data_ptr()
    arena.empty(words(10))  # of the neighbours of 6 and 8 MiB, which were not used since
    assert (arena.blocks_made, arena.bytes().cached) == (3, 18 * MIB)
    assert arena.empty(words(4)).data_ptr() == recent


def test_what_is_kept_does_not_depend_on_when_peaks_were_reset():
    """Who measures every step must not make the arena forget how full it was: it would map the same again."""
    arena = Arena(slack_bytes=0)
    together = [arena.empty(words(size)) for size in (4, 6, 8)]  # fullest moment: 18 MiB
    together.pop(1)
    arena.reset_peaks()
    arena.empty(words(7))  # new, though 6 MiB are free: together they are more than at the fullest moment
    assert arena.bytes().peak_held == 19 * MIB
    assert (arena.bytes().in_use, arena.bytes().cached) == (12 * MIB, 7 * MIB)
    together.clear()
    assert arena.bytes().cached == 19 * MIB


def test_few_shapes_are_not_given_back_and_asked_for_again():
    """What alternates within the fullest moment settles: no new memory after the first round."""
    arena = Arena()
    for _ in range(50):
        x = arena.empty(words(30))
        del x
        pair = [arena.empty(words(13)), arena.empty(words(20))]
        del pair
    assert arena.blocks_made == 2
    assert arena.bytes().cached == 50 * MIB


def test_what_is_reserved_is_there_and_stays():
    """One after the other, shapes that take all of it ask for nothing; it is not given back before."""
    arena = Arena(slack_bytes=0)
    arena.reserve(20 * MIB)
    assert (arena.bytes().in_use, arena.bytes().cached, arena.bytes().peak_in_use) == (0, 20 * MIB, 0)
    arena.reserve(12 * MIB)
    made = arena.blocks_made
    for sizes in ((4, 6, 8), (20,), (1, 19), (20,)):
        together = [arena.empty(words(size)) for size in sizes]
        assert len({x.data_ptr() for x in together}) == len(sizes)
        del together
    assert (arena.blocks_made, arena.bytes().cached) == (made, 20 * MIB)
    with pytest.raises(CapacityError, match="were to be ready"):
        arena.reserve(1 << 52)


@pytest.mark.parametrize("slack", [0, 1 * MIB])
def test_blocks_that_are_cut_and_joined_never_overlap(slack):
    """Shapes at random, each filled with its number: what lives still has it when it dies."""
    arena, rng = Arena(slack_bytes=slack), random.Random(7)
    alive: dict[int, torch.Tensor] = {}
    for number in range(3000):
        if len(alive) == 24 or (alive and rng.random() < 0.45):
            key = rng.choice(sorted(alive))
            assert bool((alive.pop(key) == key).all()), key
        else:
            size = rng.choice((1, 3, 8, 17, 64, 200)) * rng.randint(1, 4) * 512
            alive[number] = arena.empty((size,)).fill_(number)
        held = arena.bytes()
        least = sum(block_bytes(x.nbytes) for x in alive.values())
        assert least <= held.in_use <= least * 17 // 16
        assert held.peak_held <= held.peak_in_use + slack
    made = arena.blocks_made
    assert made < 600  # of 1,650 or so
    alive.clear()
    arena.trim()
    assert (arena.bytes().in_use, arena.bytes().cached) == (0, 0)


def test_small_tensors_are_blocks_and_empty_ones_none():
    arena = Arena()
    for blocks, shape in ((0, (0,)), (0, (2, 0, 65536)), (1, ()), (1, (512,)), (2, (513,))):
        x = arena.empty(shape)
        assert (tuple(x.shape), x.dtype) == (shape, torch.int64)
        del x
        assert arena.blocks_made == blocks


def test_threads_never_share_a_block():
    """Each writes its own number into what it takes and finds it there again."""
    arena, wrong = Arena(), []

    def work(number: int) -> None:
        for i in range(200):
            x = arena.empty(words(0.1 + (i % 5) / 10)).fill_(number)
            if not bool((x == number).all()):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert arena.bytes().in_use == 0


def test_a_tensor_may_die_in_another_thread_and_after_its_arena():
    arena = Arena()
    box = [arena.zeros(SHAPE)]
    del arena
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert not box


def test_tensors_alive_at_the_end_of_the_interpreter():
    """Kept by a module, a cycle and a daemon thread: the process ends with status 0.

    The thread waits by then. One that still lets tensors go, of whatever memory, may end the process with
    "terminate called without an active exception": torch takes the interpreter lock back in a destructor,
    and Python before 3.14 unwinds a daemon thread that asks for it at the end.
    """
    code = (
        "import sys, threading, time\n"
        "from aegis_fhe.ring.arena import Arena\n"
        "arena = Arena()\n"
        "sys.kept = arena.empty((1 << 20,))\n"
        "cycle = [arena.empty((1 << 20,))]\n"
        "cycle.append(cycle)\n"
        "ready = threading.Event()\n"
        "def work():\n"
        "    for _ in range(20):\n"
        "        x = arena.empty((1 << 20,)); time.sleep(0.001)\n"
        "    ready.set()\n"
        "    threading.Event().wait()\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "ready.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Fatal" not in done.stderr


def test_no_memory_is_an_error_that_says_so():
    """A petabyte; the arena works on afterwards, and gave what it had cached."""
    arena = Arena()
    arena.empty(SHAPE)
    with pytest.raises(CapacityError, match=r"no memory for a tensor of shape \[2, 70368744177664\]"):
        arena.empty((2, 1 << 46))
    assert (arena.bytes().in_use, arena.bytes().cached, arena.blocks_made) == (0, 0, 1)
    assert arena.bytes().peak_held == block_bytes(SHAPE_BYTES)
    assert not arena.zeros(SHAPE).any()


def test_copies_and_stacks_are_new_memory():
    arena = Arena()
    x = torch.arange(2 * 65536).reshape(2, 65536)
    both = arena.stack((x, x + 1))
    assert torch.equal(both, torch.stack((x, x + 1)))
    low = arena.copy(both[:, :1])
    assert low.is_contiguous()
    assert torch.equal(low, both[:, :1])
    assert arena.bytes().in_use == 3 * MIB


def test_operations_of_a_ring_allocate_nothing_new():
    """After one round, results and scratch of every following round come from the arena."""
    degree = 1 << 14
    ring = Ring(degree, find_primes(45, degree, 4))
    limbs = (0, 1, 2, 3)
    x = torch.ones((2, 4, degree), dtype=torch.int64)

    def work() -> None:
        y = ring.add(ring.ntt(x, limbs), x, limbs)
        ring.mod_down(ring.automorphism(y, 5), limbs[:3], limbs[3:])
        ring.convert(ring.intt(y, limbs)[:, :2].contiguous(), (0, 1), (2, 3))
        ring.periodic_dot(
            [y], ring.periodic_ntt(torch.ones((1, 4096), dtype=torch.int64), limbs)[None], limbs
        )

    work()
    made = ring.arena.blocks_made
    for _ in range(3):
        work()
    assert ring.arena.blocks_made == made > 0
    assert ring.arena.bytes().in_use == 0


@strides_matter
def test_rings_have_arenas_of_their_own_or_share_a_given_one():
    primes = find_primes(45, 1 << 13, 2)
    shared = Arena()
    first, second = (Ring(1 << 13, primes, arena=shared) for _ in range(2))
    assert first.arena is second.arena is shared
    assert Ring(1 << 13, primes).arena is not Ring(1 << 13, primes).arena

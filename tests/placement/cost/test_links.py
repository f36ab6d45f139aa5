"""Seconds of messages: worked by hand, never less for more bytes, and files that do not fit are refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_fhe.errors import ContainerError, ParameterError
from aegis_fhe.placement.cost import LINKS, Link, Message, Network, all_gather, load_network

FAST = Link(name="fast", bytes_per_second=1000e6, latency_seconds=1e-3, share=0.5)
SLOW = Link(name="slow", bytes_per_second=20e6, latency_seconds=1e-2, share=1.0)
FLAT = Network(link=FAST)
HOSTS = Network(link=FAST, between_hosts=SLOW, devices_per_host=2)


def message(source, destination, size, count=1):
    return Message(source=source, destination=destination, bytes=size, messages=count)


def test_the_busiest_direction_of_the_busiest_device_decides():
    # 500 MB/s are reached. Device 0 sends 3 MB in two messages and receives 1 MB in one: 2 ms + 6 ms.
    messages = [message(0, 1, 1_000_000), message(0, 2, 2_000_000), message(1, 0, 1_000_000)]
    assert FLAT.seconds(messages) == pytest.approx(8e-3)
    assert FLAT.seconds([message(0, 1, 0, count=5)]) == pytest.approx(5e-3)
    assert FLAT.seconds([]) == 0.0
    # Both directions at once: an exchange takes as long as one way.
    assert FLAT.seconds([message(0, 1, 10**6), message(1, 0, 10**6)]) == FLAT.seconds([message(0, 1, 10**6)])


def test_an_all_gather_by_hand():
    """Four devices with 1 MB each: 3 MB in and out of each, three messages: 3 ms + 6 ms."""
    assert FLAT.seconds(all_gather([10**6] * 4)) == pytest.approx(9e-3)


def test_hosts_share_one_link_to_the_others():
    # 0, 1 | 2, 3: inside as before (1 message of 1 MB: 3 ms). Between hosts each sends 4 MB in 4 messages:
    # 40 ms + 200 ms.
    assert HOSTS.seconds(all_gather([10**6] * 4)) == pytest.approx(0.24)
    assert (
        HOSTS.seconds([message(2, 3, 10**6)]) == FLAT.seconds([message(2, 3, 10**6)]) == pytest.approx(3e-3)
    )
    assert [HOSTS.host(device) for device in range(5)] == [0, 0, 1, 1, 2]
    # What goes on inside a host goes on at the same time.
    inside = [message(0, 1, 10**9)]
    assert HOSTS.seconds([*inside, message(1, 2, 10**6)]) == HOSTS.seconds(inside)


messages_between = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 10**9)).filter(lambda m: m[0] != m[1]),
    min_size=1,
    max_size=12,
)


@given(messages_between, st.integers(0, 10**9), st.integers(0, 11))
def test_more_bytes_are_never_faster(found, extra, index):
    messages = [message(*m) for m in found]
    at = index % len(messages)
    grown = [*messages]
    grown[at] = with_more(messages[at], extra)
    for network in (FLAT, HOSTS):
        assert network.seconds(grown) >= network.seconds(messages)
        assert network.seconds([*messages, messages[at]]) >= network.seconds(messages)


def with_more(one, extra):
    return message(one.source, one.destination, one.bytes + extra)


def test_presets_have_the_data_sheets_rates():
    rates = {name: link.bytes_per_second / 1e9 for name, link in LINKS.items()}
    assert rates == {
        "a6000-nvlink": 56,
        "a100-nvlink": 300,
        "h100-nvlink": 450,
        "h200-nvlink": 450,
        "pcie4": 31,
        "pcie5": 63,
        "ethernet-100g": 12.5,
        "ethernet-400g": 50,
    }
    for name, link in LINKS.items():
        assert load_network(name) == Network(link=link)
        assert 0.6 <= link.share <= 0.8
    # An input broadcast of prior-art's (35, 4, 10): 13.125 MiB at 300 GB/s * 0.7, three messages.
    rows = [9 << 19, 9 << 19, 9 << 19, 8 << 19]
    expected = 30e-6 + 27 * 2**19 / 210e9
    assert load_network("a100-nvlink").seconds(all_gather(rows)) == pytest.approx(expected)


@pytest.mark.parametrize("network", [FLAT, HOSTS])
def test_files_round_trip(tmp_path, network):
    path = tmp_path / "mine.json"
    path.write_bytes(msgspec.json.encode(network))
    assert load_network(path) == load_network(str(path)) == network


def facts(**changes):
    return {**msgspec.to_builtins(FLAT), **changes}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not a file of kind 'aegis-link'"),
        (b"\xff\xfe", "not a file of kind"),
        (facts(format="aegis-device"), "of kind 'aegis-device'"),
        (facts(version=2), "version 2, not 1"),
        (facts(hosts=3), "unknown field `hosts`"),
        (facts(devices_per_host=2), "belong together"),
        (facts(link={"name": "x", "latency_seconds": 0}), "bytes_per_second"),
        (facts(link={"name": "x", "latency_seconds": 0, "bytes_per_second": 0}), "bytes_per_second"),
        (facts(link={"name": "x", "latency_seconds": -1, "bytes_per_second": 1e9}), "latency_seconds"),
        (facts(link={"name": "x", "latency_seconds": 0, "bytes_per_second": 1e9, "share": 1.1}), "share"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, content, said):
    path = tmp_path / "link.json"
    path.write_bytes(content if isinstance(content, bytes) else encoded(content))
    with pytest.raises(ContainerError, match=said) as refused:
        load_network(path)
    assert "ethernet-100g" in str(refused.value)  # the cure


def encoded(content):
    return content.encode() if isinstance(content, str) else msgspec.json.encode(content)


def test_unknown_links_and_missing_files(tmp_path):
    with pytest.raises(ParameterError, match="h200-nvlink"):
        load_network("nvlink-9")
    (tmp_path / "long.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(ContainerError, match="bytes"):
        load_network(tmp_path / "long.json")

"""The local and the remote interview have one surface, and a host's answers are read with distrust."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import ConfigError, StoreError
from ib_kernel.interview.interview import Interview
from ib_kernel.remote.interview import RemoteInterview
from ib_kernel.remote.service import RemoteService, RemoteStore
from ib_kernel.values import Message, Session, Status, Totals, wire
from ib_kernel.values.joining import new_code, parse_address, parse_code, parse_join
from ib_kernel.values.seat import Seat, SeatService, SeatStore
from ib_kernel.values.version import which_side_upgrades


@pytest.mark.parametrize(
    ("protocol", "kinds"),
    [
        (Seat, (Interview, RemoteInterview)),
        (SeatService, (TokenService, RemoteService)),
        (SeatStore, (RemoteStore,)),
    ],
)
def test_both_sides_have_every_member(protocol: type, kinds: tuple[type, ...]) -> None:
    """What a notebook asks for is there, with arguments of the same names."""
    for name in [n for n in vars(protocol) if not n.startswith("_")]:
        for kind in kinds:
            found = inspect.getattr_static(kind, name)
            if not isinstance(found, property):
                wanted = inspect.signature(getattr(protocol, name)).parameters
                has = inspect.signature(getattr(kind, name)).parameters
                assert set(wanted) <= set(has) or "options" in has or "_" in has, (kind, name)


def test_values_come_back_as_they_were() -> None:
    """Through JSON and back nothing is lost, and what a candidate may not know is not sent at all."""
    session = Session("s-1", "Ada", 5000, "gpt-5.4-mini", meta={"secret": 1}, status=Status.ACTIVE)
    sent = json.loads(json.dumps(wire.session_value(session)))
    assert wire.read(Session, sent) == dataclasses.replace(session, meta={})
    assert set(sent) & {"meta", "accommodation", "external_id", "keep_until"} == set()
    for value in (Totals(100, 5, 6, in_doubt=3), Message(1, "user", "Hi", 2.5, True, 1.5)):
        assert wire.read(type(value), json.loads(json.dumps(wire.to_value(value)))) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from([f.name for kind in (Session, Totals, Message) for f in dataclasses.fields(kind)])


@given(st.sampled_from([Session, Totals, Message]), JSON | st.dictionaries(NAMES, JSON))
def test_whatever_a_host_sends_is_a_value_or_one_line(kind: Any, value: Any) -> None:
    """No other error than ours comes out of reading."""
    try:
        found: Any = wire.read(kind, value)
    except StoreError as error:
        found = error
    assert isinstance(found, kind) or "\n" not in str(found)


@given(st.text(max_size=60))
def test_a_line_is_read_or_refused_with_one_line(text: str) -> None:
    """Whatever is typed after join, nothing but a `ConfigError` comes out, and it repeats no code."""
    try:
        said = parse_join(text).address
    except ConfigError as error:
        said = f"https://refused: {error}"
    assert said.startswith(("http://", "https://"))
    assert "\n" not in said


def test_codes_are_read_as_people_dictate_them() -> None:
    """Case, spaces, hyphens, O for zero, I and L for one: all the same code."""
    code = new_code()
    assert parse_code(code.lower().replace("-", " ")) == code
    assert parse_code("OIL0-OIL0-OIL0-OIL0") == "0110-0110-0110-0110"
    with pytest.raises(ConfigError, match="sixteen"):
        parse_code("UUUU-UUUU-UUUU-UUUU")


@pytest.mark.parametrize(
    "text",
    [
        "http://example.com",
        "https://a/b",
        "https://a/services/",
        "https://a/services/../b",
        "https://a/services/b/c",
        "https://a/services/b?c",
        "http://example.com/services/b",
        "https://u:p@a",
        "ftp://a",
        "https://",
        "https://a b",
        "https://a:x",
    ],
)
def test_an_address_is_whole_and_never_in_the_clear(text: str) -> None:
    """Plain HTTP is for this machine; paths, passwords and other schemes are no address of a host."""
    with pytest.raises(ConfigError):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://Hub.example/services/interview/", "https://hub.example/services/interview"),
        ("hub.example:443/lab/services/interview", "https://hub.example/lab/services/interview"),
        ("http://127.0.0.1:8000/services/interview", "http://127.0.0.1:8000/services/interview"),
    ],
)
def test_a_service_of_a_jupyterhub_is_the_one_address_with_a_path(text: str, address: str) -> None:
    """It is below the hub's own address, where the hub's proxy passes requests on."""
    assert parse_address(text) == address
    assert parse_join(f"7F3K-92QX-4MDP-W8ZT@{address}").address == address


@pytest.mark.parametrize(
    ("mine", "theirs", "side"),
    [
        ("0.1.0", "0.1.9", ""),
        ("0.1.0", "0.2.0", "upgrade the notebook"),
        ("0.2.0", "0.1.0", "ask the interviewer to upgrade"),
        ("0.1.0", "None", "does not say"),
    ],
)
def test_unequal_versions_name_the_side_that_upgrades(mine: str, theirs: str, side: str) -> None:
    """One line; the last number does not matter."""
    line = which_side_upgrades(mine, theirs)
    assert (side in line) if side else line == ""

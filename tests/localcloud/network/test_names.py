"""DNS servers with arbitrary bytes from a hostile machine: they respond or stay silent, and never fail."""

from __future__ import annotations

from dnslib import DNSRecord
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localcloud.network.dns import answer

_HEAD = bytes.fromhex("123401000001000000000000")
_QUESTION = bytes(DNSRecord.question("packages.internal").pack())


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda rest: _HEAD + rest)))
@example(
    _HEAD + b"C" + b"x" * 63 + b"\x03com\0\0\1\0\1"
)  # a label over the maximum length: can be decoded, but not encoded
def test_arbitrary_bytes_raise_no_error(query: bytes) -> None:
    answer(query)


@given(st.integers(0, len(_QUESTION) - 1), st.integers(0, 255))
def test_a_query_with_one_changed_byte_gets_a_matching_response_or_none(at: int, value: int) -> None:
    changed = bytearray(_QUESTION)
    changed[at] = value
    reply = answer(bytes(changed))
    assert reply is None or reply[:2] == changed[:2]

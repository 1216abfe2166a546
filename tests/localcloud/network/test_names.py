"""What the name servers make of bytes that a hostile machine sends: an answer or silence, and never their end."""

from __future__ import annotations

from dnslib import DNSRecord
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localcloud.network.dns import answer

_HEAD = bytes.fromhex("123401000001000000000000")
_QUESTION = bytes(DNSRecord.question("packages.internal").pack())


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda rest: _HEAD + rest)))
@example(_HEAD + b"C" + b"x" * 63 + b"\x03com\0\0\1\0\1")  # a label longer than any may be: read, but not written
def test_whatever_bytes_come_nothing_is_raised(query: bytes) -> None:
    answer(query)


@given(st.integers(0, len(_QUESTION) - 1), st.integers(0, 255))
def test_a_question_with_one_byte_changed_is_answered_or_is_none(at: int, value: int) -> None:
    changed = bytearray(_QUESTION)
    changed[at] = value
    reply = answer(bytes(changed))
    assert reply is None or reply[:2] == changed[:2]

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples.iam.stand_in.audit import PackError, Value, pack_fields, unpack_fields

_MOMENTS = st.integers(86_400, 13_000_000_000_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
_VALUES = st.one_of(st.text(max_size=400), st.integers(-(2**63), 2**63 - 1), _MOMENTS, st.none())
_RECORDS = st.dictionaries(st.text(min_size=1, max_size=40), _VALUES, max_size=15)


@given(_RECORDS)
def test_packed_records_are_restored(record: dict[str, Value]) -> None:
    assert unpack_fields(pack_fields(record)) == record


@given(_RECORDS.filter(bool), st.data())
def test_a_truncated_record_is_an_error(record: dict[str, Value], data: st.DataObject) -> None:
    packed = pack_fields(record)
    with pytest.raises(PackError):
        unpack_fields(packed[: data.draw(st.integers(0, len(packed) - 1))])


@pytest.mark.parametrize(
    ("packed", "record"),
    [
        # From the examples of the specification and the output of Go's vmihailenco/msgpack.
        pytest.param(b"\x81\xa1a\x01", {"a": 1}, id="small integer in one byte"),
        pytest.param(b"\x81\xa1a\xff", {"a": -1}, id="small negative integer in one byte"),
        pytest.param(b"\x81\xa1a\xcd\x01\x00", {"a": 256}, id="unsigned 16 bits"),
        pytest.param(b"\x81\xa1a\xd2\xff\xff\xff\x00", {"a": -256}, id="signed 32 bits"),
        pytest.param(b"\xde\x00\x01\xa1a\xc0", {"a": None}, id="map with a long header"),
        pytest.param(
            b"\x81\xa1t\xd6\xff\x00\x00\x00\x3c", {"t": datetime(1970, 1, 1, 0, 1, tzinfo=UTC)}, id="32-bit timestamp"
        ),
        pytest.param(
            b"\x81\xa1t\xc7\x0c\xff\x00\x00\x03\xe8\x00\x00\x00\x00\x00\x00\x00\x3c",
            {"t": datetime(1970, 1, 1, 0, 1, 0, 1, tzinfo=UTC)},
            id="96-bit timestamp",
        ),
    ],
)  # fmt: skip
def test_encodings_of_the_real_services_are_unpacked(packed: bytes, record: dict[str, Value]) -> None:
    assert unpack_fields(packed) == record


@pytest.mark.parametrize("packed", [b"", b"\x93\x01\x02\x03", b"{}", b"\x81\xa1a\xca\x00\x00\x00\x00"])
def test_other_encodings_are_an_error(packed: bytes) -> None:
    with pytest.raises(PackError):
        unpack_fields(packed)

"""Property values: what travels between program, state and providers.

Plain JSON-like Python data, plus `Secret` (a value that must not be shown) and `UNKNOWN` (a value that only
a real run brings). The signatures are those of the Pulumi SDK's wire format (pulumi/runtime/rpc.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import struct_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a type tag of the wire format
UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is encrypted in the state and masked in every output."""

    value: Any

    def __repr__(self) -> str:
        return "Secret([secret])"


def from_struct(struct: struct_pb2.Struct) -> Properties:
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = from_struct(value.struct_value)
        if fields.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return Secret(fields.get("value"))
        return fields
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        # The wire knows only doubles; a whole number is shown and compared as the integer that the program wrote.
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    return None


def to_struct(properties: Mapping[str, Any], *, secrets: bool = True) -> struct_pb2.Struct:
    """With `secrets=False` every secret travels as its plain value (for a side that does not know secrets)."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        struct.fields[key].CopyFrom(_to_value(value, secrets=secrets))
    return struct


def _to_value(value: Any, *, secrets: bool) -> struct_pb2.Value:
    if isinstance(value, Secret):
        if not secrets:
            return _to_value(value.value, secrets=False)
        return _to_value({SIGNATURE_KEY: SECRET_SIGNATURE, "value": value.value}, secrets=True)
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=to_struct(value, secrets=secrets))
    items = [_to_value(item, secrets=secrets) for item in value]
    return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))


def walk(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with `change` applied to each scalar and each Secret (whose inside is not entered)."""
    if isinstance(value, Mapping):
        return {key: walk(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [walk(item, change) for item in value]
    return change(value)


def reveal(value: Any) -> Any:
    """The value with every secret in plain."""
    return walk(value, lambda item: reveal(item.value) if isinstance(item, Secret) else item)


def mask(value: Any) -> Any:
    """The value as it may be shown."""
    return walk(value, lambda item: "[secret]" if isinstance(item, Secret) else item)


def has_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_secret(item) for item in value)
    return isinstance(value, Secret)


def has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_unknown(item) for item in value)
    if isinstance(value, Secret):
        return has_unknown(value.value)
    return value == UNKNOWN


def without_unknowns(properties: Mapping[str, Any]) -> Properties:
    """Properties that are known throughout; a missing one is unknown to the program in a preview."""
    return {key: value for key, value in properties.items() if not has_unknown(value)}


def mark_secrets(outputs: Mapping[str, Any], inputs: Mapping[str, Any], names: Iterable[str] = ()) -> Properties:
    """Outputs whose secrets are known: those named, and those whose input of the same name is secret.

    So Pulumi does it for providers that do not know secrets themselves (sdk/go: annotateSecrets).
    """
    marked = {key: _mark(value, inputs.get(key)) for key, value in outputs.items()}
    for name in names:
        if name in marked and not isinstance(marked[name], Secret) and marked[name] is not None:
            marked[name] = Secret(reveal(marked[name]))
    return marked


def _mark(output: Any, given: Any) -> Any:
    if isinstance(given, Secret) and not isinstance(output, Secret):
        return Secret(reveal(output))
    if isinstance(output, Mapping) and isinstance(given, Mapping):
        return mark_secrets(output, given)
    if isinstance(output, list) and isinstance(given, list) and len(output) == len(given):
        return [_mark(one, other) for one, other in zip(output, given, strict=True)]
    if isinstance(output, (Mapping, list)) and has_secret(given):
        return Secret(reveal(output))
    return output

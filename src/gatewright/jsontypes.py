"""The shape of a decoded JSON document. Nothing else may stand where one is meant."""

from typing import TYPE_CHECKING, Any, TypeAlias, Union

if TYPE_CHECKING:
    JsonValue: TypeAlias = Union[bool, int, float, str, "list[JsonValue]", "dict[str, JsonValue]", None]  # noqa: UP007 - strings cannot be joined by |
else:
    JsonValue = Any  # msgspec cannot decode into a recursive alias; any JSON is what is meant

JsonObject: TypeAlias = dict[str, JsonValue]

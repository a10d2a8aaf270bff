"""Secrets: values that print as `***` wherever they go, and the references that name them.

One rule: nothing but `reveal()` gives the value; repr, str, format, pydantic dumps and JSON do not.
"""

import hmac
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gatewright.config.suggest import near

HIDDEN = "***"
MAX_FILE_BYTES = 64 << 10
"""A credential file is a line; a service account's JSON is 3 KB. More is a wrong path."""
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Secret:
    """A value that must not be shown."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself: for the header that carries it, and for nothing else."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.str_schema(min_length=1),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda _: HIDDEN, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "type": "string",
            "minLength": 1,
            "examples": ["env:OPENAI_API_KEY", "file:/run/secrets/openai"],
        }


class BadReference(ValueError):
    """A reference that leads nowhere. The message says why, without any value."""


def is_reference(text: str) -> bool:
    return text.startswith(("env:", "file:"))


def resolve(text: str, environ: Mapping[str, str], base: Path) -> str:
    """What `env:NAME` or `file:/path` stands for (line breaks at the end stripped); any other text is itself.

    Relative paths start at `base`, the configuration's folder. Raises BadReference.
    """
    if text.startswith("env:"):
        return _from_env(text.removeprefix("env:"), environ)
    if text.startswith("file:"):
        return _from_file(base / Path(text.removeprefix("file:")).expanduser())
    return text


def _from_env(name: str, environ: Mapping[str, str]) -> str:
    if not _ENV_NAME.match(name):
        raise BadReference('expected the name of an environment variable after "env:"')
    value = environ.get(name, "").strip()
    if not value:
        state = "is empty" if name in environ else "is not set"
        nearby = None if name in environ else near(name, (known for known, value in environ.items() if value))
        raise BadReference(f'environment variable "{name}" {state}' + (f'; did you mean "{nearby}"?' if nearby else ""))
    return value


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadReference(f'cannot read file "{path}": {error.strerror}') from None
    if len(content) > MAX_FILE_BYTES:
        raise BadReference(f'file "{path}" is larger than {MAX_FILE_BYTES} bytes: not a secret')
    try:
        value = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise BadReference(f'file "{path}" is not UTF-8 text') from None
    if not value:
        raise BadReference(f'file "{path}" is empty')
    return value

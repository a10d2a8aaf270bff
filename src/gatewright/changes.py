"""What one configuration has that another had not: by name, never by value.

One rule: nothing but names leaves here. A value may be a secret, and whoever changed it knows it.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from gatewright.config import Config

Value = TypeVar("Value")

_NAMED: Final = ("providers", "models", "aliases", "keys")
"""Sections whose entries have names."""
_NO_SETTINGS: Final = (*_NAMED, "source", "files", "warnings")


class Named(msgspec.Struct, frozen=True):
    """Of one section, the names in the order of their file."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Changes(msgspec.Struct, frozen=True):
    providers: Named
    models: Named
    aliases: Named
    keys: Named
    settings: tuple[str, ...]
    """All else that is another than it was, by its key: `timeouts`, `server.max_body_bytes`."""


def changes(before: Config, after: Config) -> Changes:
    """What is different in `after`. A secret that was changed behind its reference counts as a change of whoever uses it."""
    return Changes(
        providers=_named(before.providers, after.providers),
        models=_named(before.models, after.models),
        aliases=_named(before.aliases, after.aliases),
        keys=_named({key.name: key for key in before.keys}, {key.name: key for key in after.keys}),
        settings=tuple(
            path
            for name in Config.__struct_fields__
            if name not in _NO_SETTINGS
            for path in _settings(name, getattr(before, name), getattr(after, name))
        ),
    )


def _named(before: Mapping[str, Value], after: Mapping[str, Value]) -> Named:
    return Named(
        added=tuple(name for name in after if name not in before),
        changed=tuple(name for name in after if name in before and before[name] != after[name]),
        removed=tuple(name for name in before if name not in after),
    )


def _settings(path: str, before: object, after: object) -> tuple[str, ...]:
    """`path`, or what lies beneath it where both are sections: whatever is not equal."""
    if before == after:
        return ()
    if not isinstance(before, msgspec.Struct) or type(before) is not type(after):
        return (path,)
    return tuple(
        deeper
        for name in before.__struct_fields__
        for deeper in _settings(f"{path}.{name}", getattr(before, name), getattr(after, name))
    )

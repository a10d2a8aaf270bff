"""Settings of a kind, read from the configuration's JSON."""

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec

from gatewright.jsontypes import JsonObject

T = TypeVar("T")


def read(settings: JsonObject, form: type[T]) -> T:
    """Raises ValueError with the `$.path` of what is wrong, as msgspec writes it."""
    try:
        return msgspec.convert(settings, form)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def wrong(path: str, message: str) -> ValueError:
    """What is wrong at `$.path`."""
    return ValueError(f"{message} - at `$.{path}`")


def chosen(names: Iterable[str], among: Iterable[str], path: str) -> tuple[str, ...]:
    """Those that names or globs (`us_*`) mean. Raises ValueError for one that means none, with the nearest that there is."""
    known = tuple(among)
    picked: dict[str, None] = {}
    for index, name in enumerate(names):
        fitting = [each for each in known if fnmatchcase(each, name)]
        if not fitting:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise wrong(f"{path}[{index}]", f"unknown {name!r}{hint}")
        picked.update(dict.fromkeys(fitting))
    return tuple(picked)

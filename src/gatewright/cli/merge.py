"""Edits of settings files that belong to others: what must be said is said, everything else stays. Pure.

One rule: the result is read back; if anything but the change differs, the edit is refused and nothing is written.
"""

import json
import re
import tomllib
from typing import assert_never, cast

from gatewright.cli.clients import Format
from gatewright.jsontypes import JsonObject, JsonValue

_TABLE = re.compile(r"^\s*\[")
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")


class CannotMerge(ValueError):
    """The file is not of a shape that can be edited without harm. The message says why."""


def merge(text: str, changes: JsonObject, kind: Format) -> str:
    """`text` (empty: a new file) with `changes` in it. Raises CannotMerge."""
    match kind:
        case "json":
            return merge_json(text, changes)
        case "toml":
            return merge_toml(text, changes)
        case "dotenv":
            return merge_dotenv(text, changes)
        case _:
            assert_never(kind)


def merge_json(text: str, changes: JsonObject) -> str:
    try:
        before: JsonValue = json.loads(text, object_pairs_hook=_unique) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise CannotMerge(f"not plain JSON (comments and trailing commas cannot be kept): {error}") from None
    if not isinstance(before, dict):
        raise CannotMerge("expected a JSON object at the top")
    after = overlay(before, changes)
    if after == before and text.strip():
        return text
    return json.dumps(after, indent=_indent(text), ensure_ascii=False) + "\n"


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _indent(text: str) -> int | str:
    """The indentation that the file has; two spaces for a new one."""
    found = re.search(r"\n([ \t]+)\S", text)
    if not found:
        return 2
    return "\t" if found[1].startswith("\t") else len(found[1])


def overlay(before: JsonObject, changes: JsonObject) -> JsonObject:
    """`changes` over `before`, object by object; other values are replaced."""
    after = dict(before)
    for key, value in changes.items():
        inner = after.get(key)
        after[key] = overlay(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return after


def merge_dotenv(text: str, changes: JsonObject) -> str:
    left = {key: str(value) for key, value in changes.items()}
    lines: list[str] = []
    for line in text.splitlines():
        found = _ASSIGNMENT.match(line)
        if found is None or found[1] not in changes:
            lines.append(line)
        elif found[1] in left:
            lines.append(f"{found[1]}={_dotenv_value(left.pop(found[1]))}")
    lines += [f"{key}={_dotenv_value(value)}" for key, value in left.items()]
    return "\n".join(lines) + "\n"


def _dotenv_value(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,=*-]*", value):
        return value
    if "'" in value or "\n" in value:
        raise CannotMerge("a value with quotes or line breaks cannot be written to a .env file")
    return f"'{value}'"


def merge_toml(text: str, changes: JsonObject) -> str:
    """Sets top-level values, and values of tables two levels deep (`[model_providers.gatewright]`). Comments stay."""
    before = _toml(text, "cannot be read as TOML")
    lines = text.splitlines()
    for key, value in changes.items():
        if isinstance(value, dict):
            for name, table in value.items():
                _set_table(lines, f"{key}.{name}", cast("JsonObject", table))
        else:
            _set_value(lines, 0, key, value)
    after = "\n".join(lines) + "\n"
    if _toml(after, "cannot be edited safely") != overlay(before, changes):
        raise CannotMerge("it sets these values in a way that cannot be edited safely")
    return after


def _toml(text: str, otherwise: str) -> JsonObject:
    try:
        return cast("JsonObject", tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CannotMerge(f"{otherwise}: {error}") from None


def _toml_value(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)  # for strings, numbers and booleans TOML writes the same


def _set_value(lines: list[str], start: int, key: str, value: JsonValue) -> None:
    """Sets `key` in the table whose first line after its header is `start`; a comment behind the value stays."""
    end = next((i for i in range(start, len(lines)) if _TABLE.match(lines[i])), len(lines))
    assignment = re.compile(rf"^\s*{re.escape(key)}\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s#\"'\[{{]+)?\s*(#.*)?$")
    for i in range(start, end):
        if found := assignment.match(lines[i]):
            lines[i] = f"{key} = {_toml_value(value)}" + (f"  {found[1]}" if found[1] else "")
            return
    lines.insert(start, f"{key} = {_toml_value(value)}")
    if start == end == 0 and len(lines) > 1:
        lines.insert(1, "")


def _set_table(lines: list[str], name: str, table: JsonObject) -> None:
    parts = r"\s*\.\s*".join(rf"[\"']?{re.escape(part)}[\"']?" for part in name.split("."))
    header = re.compile(rf"^\s*\[\s*{parts}\s*\]\s*(#.*)?$")
    at = next((i for i, line in enumerate(lines) if header.match(line)), None)
    if at is None:
        lines += [""] if lines and lines[-1].strip() else []
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in table.items()]
        return
    for key, value in reversed(table.items()):
        _set_value(lines, at + 1, key, value)

"""The reference of every setting, as Markdown: made from the schema and the catalogue, so that it cannot be out of date.

One rule: nothing is said here that the types do not know; explanations belong under the fields.
"""

from typing import cast

from gatewright.config.load import json_schema
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.catalog import CATALOG

PLACES: dict[str, str] = {
    "ServerSection": "server",
    "ProviderSection": "providers.*name*",
    "TimeoutsOverride": "providers.*name*.timeouts",
    "ModelSection": "models.*name*",
    "TargetSection": "models.*name*.targets[], models.*name*.fallback[]",
    "OverridesSection": "models.*name*.overrides",
    "KeySection": "keys[]",
    "MediaFetchSection": "media_fetch",
    "TimeoutsSection": "timeouts",
    "ResponsesStateSection": "responses_state",
}
"""Section → where it stands in the file, in the order of the reference."""

TYPES: dict[str, str] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "nothing",
}

HEAD = """\
# Configuration

Made by `gatewright config reference`; do not edit by hand.

One YAML file, `gatewright.yaml`: the file named by `--config`, or by `$GATEWRIGHT_CONFIG`, or the one in the current folder.
Without a file, providers come from the environment (see [Providers](#providers)) and every `provider/model` works.
Unknown keys are refused, and all errors come at once, each with its place: `gatewright check`.
Editors complete and check with the output of `gatewright config schema`, named in the first line of the file:
`# yaml-language-server: $schema=gatewright.schema.json`.

Secrets are references: `env:NAME` reads an environment variable, `file:/path` a file without its last line break.
A literal works and is warned about; a secret is never printed.
Relative paths start at the file's folder.

```yaml
server: {host: 127.0.0.1, port: 4000}
providers:
  openai: {api_key: env:OPENAI_API_KEY}
  local:  {kind: ollama, base_url: "http://gpu.lan:11434/v1"}
models:
  smart:
    targets: [openai/gpt-5.1]
    fallback: [local/qwen3]
  "gpt-*": {targets: ["openai/gpt-*"]}
aliases: {best: smart}
keys:
  - {name: ci, key: env:CI_KEY, models: [smart]}
```
"""

PROVIDERS_HEAD = """\
## Providers

A provider whose name stands here needs no more than its credential; any other says with `kind` whose behaviour it has.
A client that speaks one of the dialects is answered in it, bytes passing through; any other is served in the first
(behind a base URL that is not the kind's own, that is Chat Completions wherever the kind speaks it).
Without a file, a host is used when its credential is in the environment, and a local one when its base URL is.

| kind | host | dialects | credential from | base URL from | base URL |
|---|---|---|---|---|---|
"""


def reference() -> str:
    """The whole page."""
    schema = json_schema()
    sections = cast("dict[str, JsonObject]", schema["$defs"])
    parts = [HEAD, _table("The file", schema, sections)]
    parts += [_table(f"`{place}`", sections[name], sections) for name, place in PLACES.items()]
    rows = [
        f"| `{host.name}` | {_linked(host.title, host.docs)} | {', '.join(host.dialects)} | {_names(host.env_keys)} "
        f"| {_names(host.env_base_urls)} | {f'`{host.base_url}`' if host.base_url and host.key != 'none' else '–'} |\n"
        for host in CATALOG
    ]
    parts.append(PROVIDERS_HEAD + "".join(rows))
    return "\n".join(parts)


def _table(title: str, section: JsonObject, sections: dict[str, JsonObject]) -> str:
    rows = [f"## {title}", "", str(section.get("description", "")), "", "| key | type | default | meaning |", "|---|---|---|---|"]
    required = cast("list[str]", section.get("required", []))
    for name, field in cast("dict[str, JsonObject]", section["properties"]).items():
        default = "**required**" if name in required else _default(field)
        meaning = (
            str(field.get("description") or _resolved(field, sections).get("description", ""))
            .replace("\n", " ")
            .replace("|", "\\|")
        )
        rows.append(f"| `{name}` | {_type(field, sections)} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def _resolved(field: JsonValue, sections: dict[str, JsonObject]) -> JsonObject:
    """The field's schema, with a reference to a section followed."""
    if not isinstance(field, dict):
        return {}
    target = field.get("$ref")
    return sections[target.rpartition("/")[2]] if isinstance(target, str) else field


def _default(field: JsonObject) -> str:
    value = field.get("default")
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list) and value:
        return f"`[{', '.join(f'{chr(34)}{item}{chr(34)}' for item in value)}]`"
    return f"`{value}`" if isinstance(value, str | int | float) else "–"


def _type(field: JsonValue, sections: dict[str, JsonObject]) -> str:
    if not isinstance(field, dict):
        return "anything"
    if "$ref" in field:
        return "section"
    choices = field.get("anyOf")
    if isinstance(choices, list):
        return " or ".join(dict.fromkeys(_type(c, sections) for c in choices if c != {"type": "null"}))
    words = field.get("enum")
    if isinstance(words, list):
        return ", ".join(f"`{word}`" for word in words)
    kind = field.get("type")
    if kind == "array":
        return f"list of {_type(field.get('items'), sections)}"
    if kind == "object":
        return f"mapping of names to {_type(field.get('additionalProperties'), sections)}"
    low, high = field.get("minimum", field.get("exclusiveMinimum")), field.get("maximum")
    more = f", {low} to {high}" if low is not None and high is not None else f", from {low}" if low is not None else ""
    return TYPES.get(str(kind), "anything") + more


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def _linked(title: str, url: str) -> str:
    return f"[{title}]({url})" if url else title

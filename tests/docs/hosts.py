"""docs/providers: a line for each host of the catalogue, and a page for each, made from its row and its quirks."""

from collections.abc import Iterable

from gatewright.pipeline.live_lists import list_call
from gatewright.providers.catalog import CATALOG, Host
from gatewright.providers.catalog.host import placeholders
from gatewright.providers.quirks import BETAS, BY_NAME

DIALECTS = {
    "openai_chat": "Chat Completions",
    "openai_responses": "Responses",
    "anthropic": "Messages",
    "gemini": "generateContent",
    "bedrock_converse": "Converse",
}
HEADERS = {"bearer": "`Authorization: Bearer …`", "none": "nothing"}
IDENTITIES = {
    "google": "a Google account (service account, workload identity, gcloud's login, the metadata server)",
    "entra": "Microsoft Entra ID (application, workload identity, managed identity)",
    "aws": "AWS credentials (keys, profile, role, web identity, container, instance)",
}
EXAMPLES = {
    "resource": "my-resource",
    "account": "my-account",
    "project": "my-project",
    "location": "global",
    "region": "us-east-1",
}
"""What a configuration's example has for a setting."""


def listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def index(catalog: Iterable[Host] = CATALOG) -> str:
    """docs/providers/README.md: one line a host."""
    rows = [
        "# Providers",
        "",
        "What `kind` may name. Each host is called in the client's own dialect where it speaks it, else in the first that it has here.",
        "Made from `src/gatewright/providers/catalog/`; any other OpenAI-compatible server is `custom`.",
        "",
        "| kind | | speaks | credential |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| [`{host.name}`]({host.name}.md) | {host.title} | {', '.join(DIALECTS[d] for d in host.dialects)} | {_credential(host)} |"
        for host in catalog
    ]
    return "\n".join(rows) + "\n"


def _credential(host: Host) -> str:
    ways = [f"`{host.env_keys[0]}`"] if host.env_keys else ["`gatewright login`"] if host.auth == "account" else []
    return " or ".join([*ways, *([IDENTITIES[host.identity].partition(" (")[0]] if host.identity else [])]) or "none"


def page(host: Host) -> str:
    """docs/providers/<name>.md."""
    parts = [f"# {host.title}", ""]
    if host.docs:
        parts += [f"Its own documents: <{host.docs}>.", ""]
    parts += ["```yaml", "providers:", *example(host), "```", ""]
    if host.aliases:
        parts += [f"`kind` may also be {listed(host.aliases)}.", ""]
    parts += _reached(host)
    parts += _credentials(host)
    if host.settings:
        parts += ["## Settings", "", "| key | | environment | default |", "|---|---|---|---|"]
        parts += [f"| `{s.name}` | {s.what} | {listed(s.env)} | {s.default and f'`{s.default}`'} |" for s in host.settings]
        parts += [""]
    parts += _beside(host)
    if host.quirks:
        parts += [
            "## Quirks",
            "",
            "What is left out or bent is told in `x-gatewright-loss`, or refused where a model has `losses: refuse`.",
            "",
        ]
        parts += [f"- `{name}`: {BY_NAME[name].what} [Why.]({BY_NAME[name].link})" for name in host.quirks]
        parts += [""]
    if host.name in BETAS:
        parts += ["Beta flags it is shown: " + listed(sorted(set(BETAS[host.name].values()))) + ".", ""]
    return "\n".join(parts)


def example(host: Host) -> list[str]:
    """A section of `providers` that is whole, as YAML lines."""
    if host.key == "none":
        return [f"  {host.name}: {{}}"]
    lines = [f"  {host.name}:"]
    needed = placeholders(host.base_url)
    for setting in host.settings:
        if setting.name in needed or setting.need == "without a key":
            lines.append(f"    {setting.name}: {setting.default or EXAMPLES[setting.name]}")
    if not host.base_url:
        lines.append("    base_url: http://127.0.0.1:8000/v1")
    if host.env_keys and host.key == "required" and host.identity != "google":
        lines.append(f"    api_key: env:{host.env_keys[0]}")
    return lines if len(lines) > 1 else [f"  {host.name}: {{}}"]


def _reached(host: Host) -> list[str]:
    parts = ["## Where it is called", "", "| dialect | base |", "|---|---|"]
    for dialect in host.dialects:
        base = host.base_of(dialect, host.base_url) if host.base_url else ""
        parts.append(f"| {DIALECTS[dialect]} (`{dialect}`) | {f'`{base}`' if base else 'as configured'} |")
    parts.append("")
    parts += [f"At `location: {place}`: `{base}`." for place, base in host.places.items()]
    grouped: dict[tuple[str, ...], list[str]] = {}
    for pattern, dialects in host.speaks:
        grouped.setdefault(dialects, []).append(pattern)
    parts += [
        f"Models named {listed(names)}: only {' or '.join(DIALECTS[d] for d in spoken)}." for spoken, names in grouped.items()
    ]
    return [*parts, ""] if host.places or host.speaks else parts


def _credentials(host: Host) -> list[str]:
    parts = ["## Credential", ""]
    if host.auth == "account":
        return [*parts, f"A login: `gatewright login {host.name}`; see [accounts](../accounts.md).", ""]
    if host.key == "none":
        return [*parts, "None.", ""]
    header = HEADERS.get(host.auth, f"the header `{host.auth}`")
    where = f" Found in {listed(host.env_keys)}." if host.env_keys else ""
    optional = " Only where the server asks for one." if host.key == "optional" else ""
    parts.append(f"A key, sent as {header}.{where}{optional}")
    if host.identity:
        parts.append(f"Without one: {IDENTITIES[host.identity]}.")
    if host.env_base_urls:
        parts.append(f"Another base URL is found in {listed(host.env_base_urls)}.")
    return [*parts, ""]


def _beside(host: Host) -> list[str]:
    parts = []
    if host.forwards:
        named = [word for word in host.forwards if word != "any"]
        other = "whatever else it answers under its base URL" if "any" in host.forwards else ""
        parts.append(f"Forwarded as they are: {'; '.join(word for word in (', '.join(named), other) if word)}.")
    if host.key != "none" and (call := list_call(host, host.dialects)) is not None:
        parts.append(f"Its list of models is asked for at {listed(call.paths)} under the base of {DIALECTS[call.dialect]}.")
    elif host.list_urls:
        parts.append(f"Its lists of models are asked for at {listed(host.list_urls)}.")
    if host.stores_responses:
        parts.append("It keeps Responses itself: `previous_response_id` is passed to it.")
    if host.names:
        parts.append(f"Without a configuration its models may be asked for bare: {listed(host.names)}.")
    return ["## Beside model calls", "", *parts, ""] if parts else []


def pages() -> dict[str, str]:
    """Path under docs → text."""
    return {"providers/README.md": index()} | {f"providers/{host.name}.md": page(host) for host in CATALOG}

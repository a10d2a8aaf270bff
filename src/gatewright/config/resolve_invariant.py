"""What stands in for Invariant's gateway: its three providers, where its Explorer and its policies are.

One rule: Invariant's own variables are honoured, but only where the section says `enabled`: a variable opens no path.
"""

from collections.abc import Mapping
from pathlib import Path

from gatewright.config.credentials import ClientConfig
from gatewright.config.invariant import EXPLORER, ExplorerConfig, InvariantConfig
from gatewright.config.model import ProviderConfig, TimeoutsConfig
from gatewright.config.references import Desk, url_fault
from gatewright.config.schema_invariant import ExplorerSection, InvariantSection
from gatewright.config.secrets import Secret
from gatewright.config.tree import KeyPath
from gatewright.ir.blocks import DialectName
from gatewright.pipeline.invariant_paths import PROVIDERS
from gatewright.providers.catalog import HOSTS

AT: KeyPath = ("invariant",)
MAX_POLICY_BYTES = 256 << 10
THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_KINDS: Mapping[str, tuple[str, DialectName]] = {
    "openai": ("openai", "openai_chat"),
    "anthropic": ("anthropic", "anthropic"),
    "gemini": ("gemini", "gemini"),
}


def resolve_invariant(section: InvariantSection, host: str, desk: Desk) -> InvariantConfig:
    """`host`: where the gateway listens."""
    if not section.enabled:
        return InvariantConfig()
    if section.open and host not in THIS_MACHINE:
        desk.warn((*AT, "open"), f"whoever reaches {host} may call here, with a provider's key of his own")
    explorer = _url(section.explorer_url, "explorer_url", "INVARIANT_API_URL", desk) or EXPLORER
    policy, source = _policy(section, desk)
    return InvariantConfig(
        enabled=True,
        open=section.open,
        explorer_url=explorer,
        guardrails_url=_url(section.guardrails_url, "guardrails_url", "GUARDRAILS_API_URL", desk) or explorer,
        key=_key(section, desk),
        remote=section.guardrails == "remote",
        policy=policy,
        policy_source=source,
        passes=section.on_failure == "pass",
        push=section.push,
        policies_ttl_s=section.policies_ttl_s,
        deadline_s=section.deadline_s,
        queue=section.queue,
    )


def invariant_providers(
    section: InvariantSection, providers: Mapping[str, ProviderConfig], timeouts: TimeoutsConfig, desk: Desk
) -> dict[str, ProviderConfig]:
    """The providers, and those that Invariant's paths lead to: each is called with its client's own key."""
    found = dict(providers)
    if not section.enabled:
        return found
    bases = {"openai": section.openai_url, "anthropic": section.anthropic_url, "gemini": section.gemini_url}
    for vendor, name in PROVIDERS.items():
        kind, dialect = _KINDS[vendor]
        if name in providers:
            desk.wrong(
                ("providers", name), f'"{name}" is the name of a provider that `invariant` makes; choose another', key=True
            )
            continue
        base = desk.url(bases[vendor], (*AT, f"{vendor}_url"))
        if base is None:
            continue
        for end in ("/v1beta", "/v1"):
            if vendor != "openai":
                base = base.removesuffix(end)
        host = HOSTS[kind]
        found[name] = ProviderConfig(
            name=name,
            kind=kind,
            dialects=(dialect,),
            bases={dialect: base},
            auth=host.auth,
            credential=ClientConfig(),
            headers=tuple((header, Secret(value)) for header, value in host.headers),
            quirks=host.quirks,
            timeouts=timeouts,
        )
    return found


def resolve_explorer(section: ExplorerSection | None, path: KeyPath, desk: Desk) -> ExplorerConfig | None:
    """Of ordinary traffic. None: it is pushed nowhere."""
    if section is None:
        return None
    url = desk.url(section.url, (*path, "url"))
    key = desk.secret(section.key, (*path, "key"))
    if url is None or key is None:
        return None
    return ExplorerConfig(url=url, key=key, dataset=section.dataset, queue=section.queue, deadline_s=section.deadline_s)


def _url(written: str | None, key: str, variable: str, desk: Desk) -> str | None:
    if written is not None:
        return desk.url(written, (*AT, key))
    found = desk.environ.get(variable, "").strip().rstrip("/")
    if not found:
        return None
    if (fault := url_fault(found)) is not None:
        desk.wrong((*AT, key), f"${variable}: {fault}")
        return None
    return found


def _key(section: InvariantSection, desk: Desk) -> Secret | None:
    if section.key is not None:
        return desk.secret(section.key, (*AT, "key"))
    found = desk.environ.get("INVARIANT_API_KEY", "").strip()
    return Secret(found) if found else None


def _policy(section: InvariantSection, desk: Desk) -> tuple[str, str]:
    """The text and its file; empty where there is none."""
    path: KeyPath = (*AT, "guardrails_file")
    written = section.guardrails_file
    if written is None:
        variable = desk.environ.get("GUARDRAILS_FILE_PATH", "").strip()
        if not variable:
            return "", ""
        written = variable
    place = desk.existing_file(written, path)
    if place is None:
        return "", ""
    try:
        content = Path(place).read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        desk.wrong(path, f'"{place}" cannot be read as text: {error}')
        return "", ""
    if len(content) > MAX_POLICY_BYTES:
        desk.wrong(path, f'"{place}" has {len(content)} bytes; a policy may have {MAX_POLICY_BYTES}')
        return "", ""
    if section.guardrails == "local" and text.strip():
        _check(text, place, path, desk)
    return text, place


def _check(text: str, place: str, path: KeyPath, desk: Desk) -> None:
    """Says what is wrong with a policy that is evaluated here."""
    from gatewright.guards.policy_rule import bound  # noqa: PLC0415 - only where there is one
    from gatewright.invariant.policy import PolicyError, parse  # noqa: PLC0415

    try:
        parse(text, bound())
    except PolicyError as error:
        told = str(error).removeprefix("policy:")
        desk.wrong(path, f"{place}:{told}")

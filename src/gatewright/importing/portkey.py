"""Portkey: a gateway config (JSON), with a strategy and targets.

One rule: a config is one route for whatever its clients ask for, so it becomes the model `*`; where its targets name models, they
are called by these names. Keys that live in Portkey's vault are not in the file.
https://portkey.ai/docs/product/ai-gateway/configs  https://portkey.ai/docs/api-reference/inference-api/config-object
"""

import re
from collections.abc import Iterator
from typing import Final

from gatewright.importing.bifrost import slug
from gatewright.importing.draft import Draft, Target, kind_of
from gatewright.importing.litellm_deployment import DEFAULTS, fitted_base
from gatewright.importing.references import reference, referred
from gatewright.importing.source import Part
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.catalog import HOSTS

KINDS: Final[dict[str, str]] = {
    "azure-openai": "azure",
    "azure-ai": "azure-ai",
    "together-ai": "together",
    "workers-ai": "cloudflare",
    "zhipu": "zai",
    "z-ai": "zai",
    "x-ai": "xai",
    "cortex": "snowflake",
    "vertex-ai": "vertex",
}
FIELDS: Final[dict[str, str]] = {
    "resource_name": "resource",
    "api_version": "api_version",
    "azure_entra_tenant_id": "tenant_id",
    "azure_entra_client_id": "client_id",
    "azure_entra_client_secret": "client_secret",
    "workers_ai_account_id": "account",
    "snowflake_account": "account",
    "vertex_project_id": "project",
    "vertex_region": "location",
    "aws_region": "region",
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "aws_role_arn": "role_arn",
    "aws_external_id": "external_id",
}
REASONS: Final[dict[str, str]] = {
    "retry": "each target is tried once; a failure goes to the next target, then to the fallback",
    "cache": "answers are not cached",
    "before_request_hooks": "requests are not inspected",
    "after_request_hooks": "answers are not inspected",
    "input_guardrails": "requests are not inspected",
    "output_guardrails": "answers are not inspected",
    "default_input_guardrails": "requests are not inspected",
    "default_output_guardrails": "answers are not inspected",
    "metadata": "calls are not labelled",
    "forward_headers": "clients' headers are forwarded where the provider's API has them",
    "strict_open_ai_compliance": "reasoning stays where each dialect has it",
    "name": "",
    "mode": "",
    "aws_auth_type": "",
    "azure_auth_mode": "",
    "vertex_service_account_json": "a key written out; put it into a file and name that in credentials_file",
}
ANY: Final = "*"
SIGNED: Final = frozenset({"tenant_id", "client_id", "access_key_id", "role_arn", "project", "region"})
"""Settings of a provider that needs no key."""


class _Path:
    """Where one target stands in the tree of strategies."""

    __slots__ = ("order", "overrides", "part", "weight")

    def __init__(self, part: Part, weight: float, order: float) -> None:
        self.part = part
        self.weight = weight
        self.order = order
        self.overrides: JsonObject | None = None
        """What it sets whatever the client said. None: the target could not be carried."""


def read_portkey(draft: Draft) -> None:
    """Fill `draft` from its source. Raises CannotImport when the file is not a Portkey config."""
    top = snake(draft.source.top)
    if not {"strategy", "targets", "provider", "virtual_key", "api_key", "options"} & set(top.names()):
        raise draft.source.wrong((), 'expected a Portkey config: a mapping with "targets" or "provider"')
    leaves = list(_leaves(draft, top, 1.0, 1.0))
    for leaf in leaves:
        _target(draft, leaf)
    wanted = [leaf.overrides for leaf in leaves if leaf.overrides is not None]
    if wanted and all(overrides == wanted[0] for overrides in wanted):
        draft.model(ANY).settings |= {"overrides": wanted[0]} if wanted[0] else {}
    else:
        for leaf in leaves:
            if leaf.overrides:
                why = f"targets override different things, and a model has one set: {', '.join(leaf.overrides)}"
                draft.leave(leaf.part.under("override_params"), why, "models", ANY)
    if draft.models:
        draft.remark("models", ANY, "whatever clients ask for goes this way; give it a name instead to keep others out")


def snake(part: Part) -> Part:
    """The same mapping with its keys in snake case: Portkey takes both."""
    for name in part.names():
        plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
        if plain != name and plain not in part:
            part.rename(name, plain)
    return part


def _leaves(draft: Draft, part: Part, weight: float, order: float) -> Iterator[_Path]:
    """The targets with their shares and their turns; strategies inside strategies are flattened."""
    inner = [snake(one) for one in part.parts("targets" if "targets" in part else "options")]
    strategy = part.part("strategy")
    mode = part.text("mode") or "single" if strategy is None else strategy.text("mode") or "single"
    if not inner:
        yield _Path(part, weight, order)
        return
    if strategy is not None:
        draft.leave_rest(
            snake(strategy),
            {
                "on_status_codes": "another target is tried after 429, 5xx and broken connections, not after a client's mistake",
                "conditions": "routes do not depend on metadata; each target is a provider of its own",
                "default": "",
            },
        )
    if mode not in ("fallback", "loadbalance", "single", "conditional"):
        draft.leave(part.under("strategy"), "a strategy that is not known here; the targets are tried in their order")
    draft.leave_rest(part, REASONS)
    finer = 0.01 ** (len(part.path) // 2)
    for i, one in enumerate(inner):
        share = one.number("weight")
        if mode == "loadbalance":
            yield from _leaves(draft, one, weight * (1.0 if share is None else float(share)), order)
        else:
            yield from _leaves(draft, one, weight, order + i * finer)


def _target(draft: Draft, leaf: _Path) -> None:
    part = leaf.part
    part.take("weight")
    kind, wish = _kind(draft, part)
    if kind is None:
        return
    host = HOSTS[kind]
    settings: JsonObject = {}
    known = {setting.name for setting in host.settings}
    for key, ours in FIELDS.items():
        fits = ours in known or host.identity is not None
        if key in part and fits and (value := referred(part, key)) is not None:
            settings[ours] = value
    base = referred(part, "custom_host")
    if base is not None:
        settings["base_url"] = fitted_base(base, host)
    secret = referred(part, "api_key")
    if secret is not None:
        settings["api_key"] = secret
    elif host.key == "required" and host.env_keys and not SIGNED & set(settings):
        settings["api_key"] = f"env:{host.env_keys[0]}"
    if milliseconds := part.number("request_timeout"):
        settings["timeouts"] = {"headers_s": milliseconds / 1000}
    headers = {ours: reference(value) for key, ours in HEADERS.items() if (value := part.text(key)) is not None}
    if headers:
        settings["headers"] = dict[str, JsonValue](headers)
    name = draft.provider(kind, settings, wish)
    model, overrides = _overrides(draft, part)
    deployment = part.text("deployment_id")
    draft.model(ANY).targets.append(Target(name, deployment or model or "*", leaf.weight, leaf.order))
    draft.leave_rest(part, REASONS)
    leaf.overrides = overrides


HEADERS: Final[dict[str, str]] = {
    "openai_organization": "openai-organization",
    "openai_project": "openai-project",
    "openai_beta": "openai-beta",
    "anthropic_version": "anthropic-version",
}


def _kind(draft: Draft, part: Part) -> tuple[str | None, str]:
    """The kind of provider that a target means, and a name for it."""
    provider = part.text("provider")
    slot = part.text("virtual_key")
    if provider is not None and provider.startswith("@"):
        slot, provider = provider.removeprefix("@"), None
    if slot is not None:
        draft.leave(part.path, f'the key of "{slot}" is in Portkey\'s vault; give it to the provider here')
    kind = kind_of(provider, KINDS) if provider is not None else _guessed(slot or "")
    if kind is None:
        draft.leave(part.path, f'no kind of provider here is "{provider or slot or "(none named)"}"')
    return kind, slug(slot or "")


def _guessed(slot: str) -> str | None:
    """The kind that a virtual key's name begins with: `openai-prod-1a2b3c`."""
    words = slot.lower().split("-")
    found = (kind_of("-".join(words[:n]), KINDS) for n in range(len(words), 0, -1))
    return next((kind for kind in found if kind is not None), None)


def _overrides(draft: Draft, part: Part) -> tuple[str | None, JsonObject]:
    """The model that a target names, and the parameters that it sets whatever the client said."""
    params = part.part("override_params")
    if params is None:
        return None, {}
    model = params.text("model")
    overrides: JsonObject = {}
    for key, ours in DEFAULTS.items():
        value = params.take(key)
        if value is not None and not isinstance(value, dict | list):
            overrides[ours] = value
    if stop := params.texts("stop"):
        overrides["stop"] = list[JsonValue](stop)
    draft.leave_rest(params, {}, "models", ANY)
    return model, overrides

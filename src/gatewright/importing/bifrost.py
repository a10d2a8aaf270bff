"""Bifrost: `config.json` with providers, their keys, and governance's virtual keys.

One rule: clients of Bifrost ask for `provider/model`, and so they go on: a provider with one kind of key keeps its name; one
whose keys lead to different places becomes several, behind models with the old name.
https://docs.getbifrost.ai/deployment-guides/config-json/providers  https://www.getbifrost.ai/schema
"""

import re
from typing import Final

import msgspec

from gatewright.importing.draft import Draft, Target, kind_of
from gatewright.importing.litellm_deployment import fitted_base
from gatewright.importing.references import reference, referred
from gatewright.importing.source import Part
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.catalog import HOSTS, Host

KINDS: Final[dict[str, str]] = {"sgl": "sglang", "lm_studio": "lmstudio", "hugging_face": "huggingface"}

KEY_CONFIGS: Final[dict[str, dict[str, str]]] = {
    "azure_key_config": {
        "endpoint": "base_url",
        "api_version": "api_version",
        "tenant_id": "tenant_id",
        "client_id": "client_id",
        "client_secret": "client_secret",
    },
    "vertex_key_config": {"project_id": "project", "region": "location", "auth_credentials": "credentials_file"},
    "bedrock_key_config": {
        "region": "region",
        "access_key": "access_key_id",
        "secret_key": "secret_access_key",
        "session_token": "session_token",
        "role_arn": "role_arn",
        "external_id": "external_id",
        "role_session_name": "role_session_name",
        "session_name": "role_session_name",
    },
    "bedrock_mantle_key_config": {"region": "region"},
    "ollama_key_config": {"url": "base_url"},
    "vllm_key_config": {"url": "base_url"},
    "sgl_key_config": {"url": "base_url"},
}
"""What a key says of its host → setting of a provider."""

TOP: Final[dict[str, str]] = {
    "$schema": "",
    "version": "",
    "encryption_key": "nothing here is encrypted with it",
    "config_store": "the file is the configuration; what was changed in the web interface is in that database alone",
    "logs_store": "calls are not logged",
    "vector_store": "answers are not cached",
    "mcp": "tools are the clients' business",
    "plugins": "code is not loaded",
    "framework": "prices come from the price list",
    "server": "see server:",
    "websocket": "there are no web sockets",
    "guardrails_config": "requests are not inspected",
}
CLIENT: Final[dict[str, str]] = {
    "enforce_auth_on_inference": "",
    "enforce_governance_header": "",
    "drop_excess_requests": "set server.max_concurrent where it is wanted",
    "enable_logging": "calls are not logged",
    "disable_content_logging": "calls are not logged",
    "log_retention_days": "calls are not logged",
    "allowed_origins": "browsers do not call the gateway",
    "initial_pool_size": "there is nothing to size",
}
NETWORK: Final[dict[str, str]] = {
    "max_retries": "each target is tried once; a failure goes to the next target, then to the fallback",
    "retry_backoff_initial": "each target is tried once",
    "retry_backoff_max": "each target is tried once",
    "retry_backoff_initial_ms": "each target is tried once",
    "retry_backoff_max_ms": "each target is tried once",
    "insecure_skip_verify": "set verify_tls: false where it is really wanted",
    "ca_cert_pem": "put it into a file and name that in ca_file",
}
VIRTUAL: Final[dict[str, str]] = {
    "id": "",
    "description": "",
    "budget": "budgets are not in the file yet",
    "budgets": "budgets are not in the file yet",
    "budget_id": "budgets are not in the file yet",
    "rate_limit": "limits are not in the file yet",
    "rate_limit_id": "limits are not in the file yet",
    "weight": "a client key does not choose between providers; a model's targets have weights",
    "key_ids": "a client key may use all credentials of a provider",
    "team_id": "there are no teams",
    "customer_id": "there are no customers",
    "mcp_configs": "tools are the clients' business",
}


class _Key(msgspec.Struct):
    """One of a provider's keys, with what it says of its host."""

    name: str
    settings: JsonObject
    models: list[str]
    aliases: dict[str, str]
    weight: float
    path: Part
    left: tuple[str, ...] = ()


def read_bifrost(draft: Draft) -> None:
    """Fill `draft` from its source. Raises CannotImport when the file is not Bifrost's."""
    top = draft.source.top
    providers = top.part("providers")
    if providers is None:
        raise draft.source.wrong((), 'expected Bifrost\'s configuration: a mapping with "providers"')
    known: dict[str, bool] = {}
    reserved = frozenset(providers.names())
    for word in providers.names():
        part = providers.part(word)
        if part is not None:
            known[word] = _provider(draft, word, part, reserved)
    _virtual_keys(draft, top.part("governance"), known)
    client = top.part("client")
    if client is not None:
        if megabytes := client.number("max_request_body_size_mb"):
            draft.sections["server"] = {"max_body_bytes": int(megabytes * (1 << 20))}
        if client.peek("enforce_auth_on_inference") is False or client.peek("enforce_governance_header") is False:
            draft.leave(client.path, "calls without a client key are refused, always")
        draft.leave_rest(client, CLIENT)
    draft.leave_rest(top, TOP)


def _provider(draft: Draft, word: str, part: Part, reserved: frozenset[str]) -> bool:
    """Whether it could be carried. `reserved`: the names that clients know."""
    custom = part.part("custom_provider_config")
    base_type = None if custom is None else custom.text("base_provider_type")
    kind = kind_of(base_type or word, KINDS)
    if kind is None:
        draft.leave(part.path, "no kind of provider here is that one")
        return False
    host = HOSTS[kind]
    common = _network(draft, part, host, word)
    keys = [_key(draft, key, host, word) for key in part.parts("keys")]
    if custom is not None:
        draft.leave_rest(custom, {"allowed_requests": "see forward:", "is_key_less": ""}, "providers", word)
    draft.leave_rest(part, {"concurrency_and_buffer_size": "set max_connections where it is wanted"}, "providers", word)
    if len({msgspec.json.encode({**key.settings, "api_key": None}) for key in keys}) <= 1 and _alike(keys):
        _one(draft, word, kind, common, keys)
    else:
        _several(draft, word, kind, common, keys, reserved)
    return True


def _alike(keys: list[_Key]) -> bool:
    """Whether any key will do for any model: then they are a pool."""
    return len({(tuple(sorted(key.models)), tuple(sorted(key.aliases.items()))) for key in keys}) <= 1


def _one(draft: Draft, word: str, kind: str, common: JsonObject, keys: list[_Key]) -> None:
    """All keys lead to the same place."""
    settings = {**common, **(keys[0].settings if keys else {})}
    secrets = [key.settings["api_key"] for key in keys if key.settings.get("api_key") is not None]
    if len(secrets) > 1:
        settings.pop("api_key", None)
        settings["api_keys"] = list(dict.fromkeys(map(str, secrets)))
        if len({key.weight for key in keys}) > 1:
            draft.leave(keys[0].path.path, "several keys are used in turn, whatever their weights", "providers", word)
    name = _named(draft, word, kind, settings)
    if keys and keys[0].models and "*" not in keys[0].models:
        why = "every model of a provider can be asked for; name at each client key what it may use"
        draft.leave(keys[0].path.under("models"), why, "providers", name)
    for alias, model in (keys[0].aliases if keys else {}).items():
        draft.model(f"{name}/{alias}").targets.append(Target(name, model))


def _several(  # noqa: PLR0917 - all of one provider
    draft: Draft, word: str, kind: str, common: JsonObject, keys: list[_Key], reserved: frozenset[str]
) -> None:
    """Each key leads to its own place: a provider each, and models with the old names over them."""
    for n, key in enumerate(keys, 1):
        wish = slug(key.name.lower())
        name = _named(draft, f"{word}-{n}" if wish in reserved or not wish else wish, kind, {**common, **key.settings})
        everything = not key.models or "*" in key.models
        for model in ["*"] if everything else key.models:
            goal = key.aliases.get(model, model)
            draft.model(f"{word}/{model}").targets.append(Target(name, goal, key.weight))
        for alias, model in key.aliases.items():
            if everything:
                draft.model(f"{word}/{alias}").targets.append(Target(name, model, key.weight))
    draft.remark("models", f"{word}/*", f"{word}: its keys lead to different places, so each is a provider of its own")


def _named(draft: Draft, wish: str, kind: str, settings: JsonObject) -> str:
    name = draft.free_name(slug(wish) or kind)
    draft.providers[name] = settings if name == kind else {"kind": kind, **settings}
    return name


def slug(text: str) -> str:
    """A provider's name made of any text: what may stand before a slash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")


def _network(draft: Draft, part: Part, host: Host, word: str) -> JsonObject:
    settings: JsonObject = {}
    network = part.part("network_config")
    if network is not None:
        base = referred(network, "base_url")
        if base is not None:
            settings["base_url"] = _versioned(fitted_base(base, host), host)
        if seconds := network.number("default_request_timeout_in_seconds"):
            settings["timeouts"] = {"headers_s": seconds}
        if seconds := network.number("stream_idle_timeout_in_seconds"):
            settings["timeouts"] = {**_mapping(settings.get("timeouts")), "idle_s": seconds}
        if connections := network.number("max_conns_per_host"):
            settings["max_connections"] = int(connections)
        headers = network.part("extra_headers")
        if headers is not None:
            settings["headers"] = {name: reference(headers.text(name) or "") for name in headers.names()}
        draft.leave_rest(network, NETWORK, "providers", word)
    proxy = part.part("proxy_config")
    if proxy is not None and proxy.peek("type") == "http" and (url := referred(proxy, "url")) is not None:
        proxy.take("type")
        settings["proxy"] = url
    if proxy is not None:
        draft.leave_rest(proxy, {"type": "", "username": "proxies with a password are not supported"}, "providers", word)
    return settings


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _versioned(base: str, host: Host) -> str:
    """Bifrost adds `/v1` itself; an OpenAI-style base here has it."""
    bare = re.fullmatch(r"https?://[^/]+", base) is not None
    return f"{base}/v1" if bare and host.base_url.endswith("/v1") else base


def _key(draft: Draft, part: Part, host: Host, word: str) -> _Key:
    """One entry of `keys`. Raises CannotImport."""
    name = part.text("name") or part.text("id") or ""
    settings: JsonObject = {"api_key": referred(part, "value")}
    aliases = _texts(part.part("aliases"))
    for section, fields in KEY_CONFIGS.items():
        config = part.part(section)
        if config is None:
            continue
        for theirs, ours in fields.items():
            value = referred(config, theirs)
            if value is None:
                continue
            if ours == "base_url":
                value = _versioned(fitted_base(value, host), host)
            if ours == "credentials_file" and value.lstrip().startswith("{"):
                draft.leave(
                    config.under(theirs),
                    "a key written out; put it into a file and name that in credentials_file",
                    "providers",
                    word,
                )
                continue
            settings[ours] = value
        aliases |= _texts(config.part("deployments"))
        draft.leave_rest(
            config,
            {"scopes": "see scope:", "project_number": "the project's id is enough", "arn": "name it in the model"},
            "providers",
            word,
        )
    weight = part.number("weight")
    models = part.texts("models")
    excluded = part.texts("blacklisted_models")
    if excluded:
        draft.leave(
            part.under("blacklisted_models"),
            "models are not taken away from a provider; name at each key what it may use",
            "providers",
            word,
        )
    for idle in ("id", "use_for_batch_api", "enabled", "description"):
        part.take(idle)
    draft.leave_rest(part, {}, "providers", word)
    settings = {key: value for key, value in settings.items() if value is not None}
    aliases = {alias: model for alias, model in aliases.items() if alias != model}
    return _Key(name, settings, models, aliases, float(1 if weight is None else weight), part)


def _texts(part: Part | None) -> dict[str, str]:
    return {} if part is None else {name: value for name in part.names() if (value := part.text(name)) is not None}


def _virtual_keys(draft: Draft, governance: Part | None, known: dict[str, bool]) -> None:
    """Virtual keys become client keys; budgets, limits, teams and customers do not."""
    if governance is None:
        return
    for part in governance.parts("virtual_keys"):
        name = part.text("name") or "key"
        secret = referred(part, "value")
        active = part.flag("is_active")
        models: list[str] = []
        configs = list(part.parts("provider_configs"))
        for config in configs:
            provider = config.text("provider") or ""
            allowed = config.texts("allowed_models") or ["*"]
            if known.get(provider):
                models += [f"{provider}/{model}" for model in allowed]
            else:
                draft.leave(config.path, f'there is no provider "{provider}" in the result', "keys", name)
            if config.peek("key_ids") == ["*"]:
                config.take("key_ids")
            if len(configs) == 1:
                config.take("weight")
            draft.leave_rest(config, VIRTUAL, "keys", name)
        draft.leave_rest(part, VIRTUAL, "keys", name)
        if active is False:
            draft.leave(part.path, f'key "{name}" is switched off')
        elif secret is None:
            draft.leave(part.path, f'key "{name}" has no value in the file; its clients need a new one')
        else:
            draft.add_key(name, secret, list(dict.fromkeys(models)) or None)
    draft.leave_rest(
        governance,
        {
            "budgets": "budgets are not in the file yet",
            "rate_limits": "limits are not in the file yet",
            "routing_rules": "routes do not depend on expressions",
            "auth_config": "there is no web interface to log in to",
            "teams": "there are no teams",
            "customers": "there are no customers",
        },
    )

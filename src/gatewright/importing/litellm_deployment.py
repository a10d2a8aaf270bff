"""One entry of LiteLLM's `model_list`: a deployment, made into a provider and a target of its group.

One rule: what decides where a call goes and who pays (host, credential, region, version) makes the provider; what decides how the
model answers (temperature, sizes) belongs to the model.
https://docs.litellm.ai/docs/proxy/configs  https://docs.litellm.ai/docs/providers
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from gatewright.importing.draft import Draft, Target, kind_of
from gatewright.importing.references import is_variable, reference, referred
from gatewright.importing.source import Part
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.catalog import HOSTS, Host

KINDS: Final[dict[str, str]] = {
    "vertex_ai_beta": "vertex",
    "ollama_chat": "ollama",
    "hosted_vllm": "vllm",
    "cohere_chat": "cohere",
    "text-completion-openai": "openai",
    "codestral": "mistral",
    "openai_like": "custom",
    "custom_openai": "custom",
    "litellm_proxy": "custom",
    "llamafile": "llamacpp",
    "nvidia_nim": "nvidia",
    "lm_studio": "lmstudio",
}
"""LiteLLM's word → ours, where it is not the catalogue's own or an alias of it."""

FIELDS: Final[dict[str, str]] = {
    "api_version": "api_version",
    "tenant_id": "tenant_id",
    "client_id": "client_id",
    "client_secret": "client_secret",
    "vertex_project": "project",
    "vertex_location": "location",
    "aws_region_name": "region",
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "aws_profile_name": "profile",
    "aws_role_name": "role_arn",
    "aws_session_name": "role_session_name",
    "aws_external_id": "external_id",
}
"""Parameter of a deployment → setting of a provider."""

ENTRA: Final = frozenset({"tenant_id", "client_id", "client_secret"})

DEFAULTS: Final[dict[str, str]] = {
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "reasoning_effort": "effort",
    "verbosity": "verbosity",
    "service_tier": "service_tier",
    "parallel_tool_calls": "parallel_tool_calls",
    "store": "store",
    "user": "user",
}
"""Parameter of a request → neutral name. LiteLLM sends them where the client says nothing."""

SUPPORTS: Final[dict[str, str]] = {
    "supports_vision": "vision",
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_response_schema": "json_schema",
    "supports_reasoning": "reasoning",
    "supports_pdf_input": "documents",
    "supports_audio_input": "audio",
    "supports_video_input": "video",
    "supports_prompt_caching": "caching",
    "supports_web_search": "web_search",
}

PARAMETER_REASONS: Final[dict[str, str]] = {
    "rpm": "a limit for one deployment; it is used as its weight alone",
    "tpm": "a limit for one deployment; it is used as its weight alone",
    "max_retries": "each target is tried once; a failure goes to the next target, then to the fallback",
    "num_retries": "each target is tried once; a failure goes to the next target, then to the fallback",
    "max_parallel_requests": "set max_connections at the provider where it is wanted",
    "cache_control_injection_points": "requests are not edited",
    "tags": "there are no tags",
    "mock_response": "there are no canned answers; see kind: demo",
    "input_cost_per_token": "prices come from the price list",
    "output_cost_per_token": "prices come from the price list",
    "drop_params": "what a target cannot say is dropped and told; losses: refuse refuses it",
    "additional_drop_params": "parameters that a host refuses are known by its kind",
    "merge_reasoning_content_in_choices": "reasoning stays where each dialect has it",
    "use_in_pass_through": "everything of a provider is reached under /{provider}/…",
    "azure_ad_token": "a token that expires; set tenant_id, client_id and client_secret",
    "aws_web_identity_token": "set AWS_WEB_IDENTITY_TOKEN_FILE for the gateway",
    "aws_sts_endpoint": "the region's own is used",
}
INFO_REASONS: Final[dict[str, str]] = {
    "id": "targets have no ids",
    "base_model": "prices come from the price list",
    "input_cost_per_token": "prices come from the price list",
    "output_cost_per_token": "prices come from the price list",
    "input_cost_per_second": "prices come from the price list",
    "access_groups": "name the models at each key",
    "health_check_model": "providers are not probed",
    "health_check_timeout": "providers are not probed",
}

Credentials = Mapping[str, Part | None]


def add_deployment(draft: Draft, part: Part, credentials: Credentials) -> None:
    """One entry of `model_list`. Raises CannotImport when it is none."""
    name = part.text("model_name")
    params = part.part("litellm_params")
    if name is None or params is None:
        missing = "model_name" if name is None else "litellm_params"
        raise draft.source.wrong(part.path, f'missing key "{missing}"')
    if (shared := params.text("litellm_credential_name")) is not None:
        _share(draft, params, credentials, shared)
    written = params.text("model")
    if written is None:
        raise draft.source.wrong(params.path, 'missing key "model"')
    info = part.part("model_info") or Part(draft.source, part.under("model_info"), {})
    placed = _placed(written, params.text("custom_llm_provider"), has_base="api_base" in params or "base_url" in params)
    if placed is None:
        draft.leave(part.path, f'model "{name}": no kind of provider here is "{written.partition("/")[0]}"')
        return
    kind, model = placed
    if not model or kind == "*":
        draft.leave(part.path, f'model "{name}": provider/model names work without an entry')
        return
    if name.count("*") > 1 or model.count("*") > 1 or ("*" in model and "*" not in name):
        draft.leave(part.path, f'"{name}" → "{written}": one "*" is carried over to the target, and no more')
        return
    provider = draft.provider(kind, _provider(draft, HOSTS[kind], params))
    weight = next((value for key in ("weight", "rpm", "tpm") if (value := _peek(params, key)) is not None), None)
    order = params.number("order")
    params.take("weight")
    entry = draft.model(name)
    entry.targets.append(Target(provider, model, float(1 if weight is None else weight), float(1 if order is None else order)))
    _settings(draft, name, params, info)
    draft.leave_rest(params, PARAMETER_REASONS, "models", name)
    draft.leave_rest(info, INFO_REASONS, "models", name)
    draft.leave_rest(part, {}, "models", name)


def _share(draft: Draft, params: Part, credentials: Credentials, name: str) -> None:
    """`litellm_credential_name`: what is said once for several deployments."""
    shared = credentials.get(name)
    if shared is None:
        draft.leave(params.under("litellm_credential_name"), f'there is no credential "{name}" in credential_list')
        return
    for key in shared.names():
        if key not in params:
            params.add(key, shared.peek(key))


def _placed(written: str, named: str | None, *, has_base: bool) -> tuple[str, str] | None:
    """(kind, the provider's own name for the model); None when nobody here hosts it."""
    if written == "*":
        return "*", "*"
    prefix, slash, rest = written.partition("/")
    if named:
        kind = kind_of(named, KINDS)
        return None if kind is None else (kind, rest if slash and kind_of(prefix, KINDS) == kind else written)
    if slash and (kind := kind_of(prefix, KINDS)) is not None:
        return kind, _bedrock_model(rest) if kind == "bedrock" else _without_hints(rest)
    if slash and not has_base:
        return None
    for host in HOSTS.values():
        if any(re.fullmatch(pattern.replace("*", ".*"), written) for pattern in host.names if pattern != "*"):
            return host.name, written
    if re.match(r"(ft:)?(gpt|chatgpt|o\d|text-|dall-e|whisper|tts|omni|babbage|davinci)", written):
        return "openai", written
    return ("custom", written) if has_base else None


def _without_hints(rest: str) -> str:
    """`responses/gpt-5`, `o_series/my-deployment`: in which dialect to call it is decided here by the client's and the host's."""
    for hint in ("responses/", "o_series/", "gpt5_series/"):
        rest = rest.removeprefix(hint)
    return rest


def _bedrock_model(rest: str) -> str:
    """`converse/anthropic.claude…`, `invoke/…`, `us-west-2/anthropic.claude…`: how to call it is decided here by the model."""
    while (head := rest.partition("/"))[1] and not head[0].startswith("arn:"):
        if head[0] in ("converse", "invoke", "converse_like") or re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", head[0]):
            rest = head[2]
        else:
            break
    return rest


def _provider(draft: Draft, host: Host, params: Part) -> JsonObject:
    """The settings of the provider that a deployment needs."""
    settings: JsonObject = {}
    base = referred(params, "api_base") or referred(params, "base_url")
    endpoint = referred(params, "aws_bedrock_runtime_endpoint")
    if (base := base or endpoint) is not None:
        settings["base_url"] = fitted_base(base, host)
    known = {setting.name for setting in host.settings}
    identity = {"aws": "aws_", "google": "vertex_"}.get(host.identity or "", "-")
    for key, name in FIELDS.items():
        fits = name in known or key.startswith(identity) or (name in ENTRA and host.identity == "entra")
        if key in params and fits and (value := referred(params, key)) is not None:
            settings[name] = value
    secret = referred(params, "api_key")
    if secret is not None:
        settings["api_key"] = secret
    elif base is not None and host.key == "required" and host.env_keys and not ENTRA & set(settings) and host.identity != "aws":
        settings["api_key"] = f"env:{host.env_keys[0]}"
    if host.identity == "google":
        _google(draft, params, settings)
    _headers(params, settings)
    if params.take("ssl_verify") is False:
        settings["verify_tls"] = False
    waits: dict[str, JsonValue] = {}
    for theirs, ours in (("timeout", "headers_s"), ("stream_timeout", "first_event_s")):
        if seconds := params.number(theirs):
            waits[ours] = seconds
    if waits:
        settings["timeouts"] = waits
    return settings


def _google(draft: Draft, params: Part, settings: JsonObject) -> None:
    """`vertex_credentials`: a path, a variable, or the JSON itself."""
    written = params.take("vertex_credentials")
    if isinstance(written, str) and not written.lstrip().startswith("{"):
        settings["credentials_file"] = reference(written)
    elif written is not None:
        draft.leave(params.under("vertex_credentials"), "a key written out; put it into a file and name that in credentials_file")


def _headers(params: Part, settings: JsonObject) -> None:
    headers: dict[str, JsonValue] = {}
    for key in ("extra_headers", "headers"):
        part = params.part(key)
        for name in () if part is None else part.names():
            value = part.text(name) if part is not None else None
            if value is not None:
                headers[name] = reference(value)
    organization = params.text("organization")
    if organization is not None:
        headers["openai-organization"] = reference(organization)
    if headers:
        settings["headers"] = headers


def fitted_base(base: str, host: Host) -> str:
    """A base URL as this gateway wants it: with the version where the host's own has one, without the paths that calls bring."""
    if is_variable(base):
        return base
    base = base.strip().rstrip("/")
    for end in ("/chat/completions", "/responses", "/v1/messages", "/messages", "/completions", "/embeddings"):
        base = base.removesuffix(end)
    if host.dialects[0] in ("anthropic", "gemini") or host.settings:
        for end in (*host.own_paths, "/v1beta", "/v1"):
            base = base.removesuffix(end)
    elif host.key == "optional" and host.base_url.endswith("/v1") and not urlsplit(base).path:
        base += "/v1"
    return base


def _peek(params: Part, key: str) -> float | None:
    value = params.peek(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _settings(draft: Draft, name: str, params: Part, info: Part) -> None:
    """What the model itself says. Deployments of one group may say different things; then the first holds."""
    model = draft.models[name]
    defaults: JsonObject = {}
    for key, neutral in DEFAULTS.items():
        value = params.take(key)
        if value is not None and not isinstance(value, dict | list):
            defaults[neutral] = value
    if stop := params.texts("stop"):
        defaults["stop"] = list[JsonValue](stop)
    found: JsonObject = {}
    if defaults:
        found["defaults"] = defaults
    context = info.number("max_input_tokens")
    most = info.number("max_tokens")
    if (context := context or most) is not None and context > 0:
        found["context"] = int(context)
    output = info.number("max_output_tokens")
    if output:
        found["max_output"] = int(output)
    can = [word for key, word in SUPPORTS.items() if info.flag(key)]
    if can:
        found["capabilities"] = list[JsonValue](can)
    info.take("mode")
    if len(model.targets) > 1 and found.get("defaults") != model.settings.get("defaults"):
        draft.leave(params.path, "parameters of one deployment hold for all targets of a model", "models", name)
        found.setdefault("defaults", {})
        found["defaults"] = model.settings.get("defaults") or found["defaults"]
        if not found["defaults"]:
            del found["defaults"]
    for key, value in found.items():
        if model.settings.setdefault(key, value) != value:
            draft.leave(params.path, f"{key} of this deployment differ from the first one's; a model has one", "models", name)

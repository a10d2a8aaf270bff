"""LiteLLM's proxy: `config.yaml` with model_list, router_settings, litellm_settings and general_settings.

One rule: a model group is a model, its deployments are targets; what LiteLLM keeps in its database is not in the file.
https://docs.litellm.ai/docs/proxy/configs  https://docs.litellm.ai/docs/proxy/config_settings
"""

from fnmatch import fnmatchcase
from typing import Final

from gatewright.config.tree import KeyPath
from gatewright.importing.draft import Draft, Model
from gatewright.importing.litellm_deployment import add_deployment
from gatewright.importing.references import reference
from gatewright.importing.source import Part, said
from gatewright.jsontypes import JsonObject

ROUTER: Final[dict[str, str]] = {
    "num_retries": "each target is tried once; a failure goes to the next target, then to the fallback",
    "max_fallbacks": "all fallbacks are tried in turn",
    "retry_policy": "each target is tried once; a failure goes to the next target, then to the fallback",
    "retry_after": "an upstream's own Retry-After is passed on to the client",
    "allowed_fails": "targets are not taken out after failures",
    "allowed_fails_policy": "targets are not taken out after failures",
    "cooldown_time": "targets are not taken out after failures",
    "disable_cooldowns": "targets are not taken out after failures",
    "enable_pre_call_checks": "requests are not measured before they are sent",
    "redis_host": "nothing is shared over Redis",
    "redis_port": "nothing is shared over Redis",
    "redis_password": "nothing is shared over Redis",
    "redis_url": "nothing is shared over Redis",
    "content_policy_fallbacks": "a refusal of content is an answer, and no failure",
    "context_window_fallbacks": "a request that is too long is told to the client",
}
LITELLM: Final[dict[str, str]] = {
    **ROUTER,
    "success_callback": "calls are not exported",
    "failure_callback": "calls are not exported",
    "callbacks": "calls are not exported",
    "service_callback": "calls are not exported",
    "service_callbacks": "calls are not exported",
    "cache": "answers are not cached",
    "cache_params": "answers are not cached",
    "set_verbose": "there is nothing to switch",
    "json_logs": "there is nothing to switch",
    "telemetry": "the gateway never calls home",
    "modify_params": "requests are always fitted to the target; what that costs is told in x-gatewright-loss",
    "max_budget": "budgets are not in the file yet",
    "budget_duration": "budgets are not in the file yet",
    "default_team_settings": "there are no teams",
    "default_internal_user_params": "there are no users",
}
GENERAL: Final[dict[str, str]] = {
    "database_url": "keys, teams and spend that live in that database are not in this file; declare client keys under keys:",
    "store_model_in_db": "models live in the file",
    "store_prompts_in_spend_logs": "prompts are not stored",
    "alerting": "nobody is alerted",
    "custom_auth": "code is not run; declare client keys under keys:",
    "pass_through_endpoints": "endpoints of a provider are reached under /{provider}/…",
    "background_health_checks": "providers are not probed",
    "health_check_interval": "providers are not probed",
    "max_parallel_requests": "limits per deployment: set max_connections at the provider",
    "ui_username": "there is no such login",
    "ui_password": "there is no such login",
    "salt_key": "nothing here is encrypted with it",
}
TOP: Final[dict[str, str]] = {
    "environment_variables": "set them where the gateway runs",
    "include": "import each of these files by itself",
    "finetune_settings": "fine-tuning is reached under /{provider}/v1/…",
    "files_settings": "files are reached under /{provider}/v1/files",
    "guardrails": "requests are not inspected",
    "callback_settings": "calls are not exported",
    "mcp_servers": "tools are the clients' business",
    "vector_store_registry": "vector stores are reached under /{provider}/v1/…",
    "search_tools": "tools are the clients' business",
}


def read_litellm(draft: Draft) -> None:
    """Fill `draft` from its source. Raises CannotImport when the file is not LiteLLM's."""
    top = draft.source.top
    if not {"model_list", "router_settings", "litellm_settings", "general_settings", "include"} & set(top.names()):
        raise draft.source.wrong((), 'expected LiteLLM\'s proxy configuration: a mapping with "model_list"')
    credentials = {part.text("credential_name") or "": part.part("credential_values") for part in top.parts("credential_list")}
    for part in top.parts("model_list"):
        add_deployment(draft, part, credentials)
    settings = top.part("litellm_settings") or Part(draft.source, ("litellm_settings",), {})
    router = top.part("router_settings") or Part(draft.source, ("router_settings",), {})
    general = top.part("general_settings") or Part(draft.source, ("general_settings",), {})
    _aliases(draft, router)
    _fallbacks(draft, (settings, router))
    _timeouts(draft, (settings, router))
    _switches(draft, settings, router)
    _keys(draft, general)
    draft.leave_rest(router, ROUTER)
    draft.leave_rest(settings, LITELLM)
    draft.leave_rest(general, GENERAL)
    draft.leave_rest(top, TOP)


def _aliases(draft: Draft, router: Part) -> None:
    """`model_group_alias: {alias: group}`, or `{alias: {model: group, hidden: …}}`."""
    aliases = router.part("model_group_alias")
    for alias in () if aliases is None else aliases.names():
        value = aliases.take(alias) if aliases is not None else None
        path: KeyPath = ("router_settings", "model_group_alias", alias)
        goal = value.get("model") if isinstance(value, dict) else value
        if isinstance(value, dict) and value.get("hidden"):
            draft.leave((*path, "hidden"), "an alias is listed like every model")
        if not isinstance(goal, str):
            draft.leave(path, f"expected the name of a model group, got {said(value)}")
        elif alias in draft.models:
            draft.leave(path, "a model group has the same name")
        elif goal not in draft.models and not _matching(draft, goal):
            draft.leave(path, f'there is no model group "{goal}"')
        else:
            draft.aliases[alias] = goal


def _fallbacks(draft: Draft, parts: tuple[Part, Part]) -> None:
    """`fallbacks: [{group: [group, …]}]` and `default_fallbacks: [group, …]`, in either section."""
    found: dict[str, list[tuple[str, KeyPath]]] = {}
    for part in parts:
        for i, entry in enumerate(part.items("fallbacks")):
            path = part.under("fallbacks", i)
            if not isinstance(entry, dict):
                raise draft.source.wrong(path, f"expected a mapping of a group to its fallbacks, got {said(entry)}")
            for group, names in entry.items():
                for name in names if isinstance(names, list) else [names]:
                    if isinstance(name, str):
                        found.setdefault(group, []).append((name, path))
                    else:
                        draft.leave((*path, group), "only names of model groups are carried")
        for name in part.texts("default_fallbacks"):
            found.setdefault("*", []).append((name, part.under("default_fallbacks")))
    for group, wanted in found.items():
        groups = list(draft.models) if group == "*" else [group] if group in draft.models else []
        if not groups:
            draft.leave(wanted[0][1], f'there is no model group "{group}"')
        for name, path in wanted:
            targets = _matching(draft, name)
            if not targets and groups:
                draft.leave(path, f'there is no model group "{name}" to fall back to')
            for one in groups:
                if one != name:
                    draft.models[one].fallback += targets


def _matching(draft: Draft, name: str) -> list[str]:
    """The targets that a request for `name` goes to: of the group, or of the pattern that covers it."""
    model: Model | None = draft.models.get(name)
    if model is not None:
        return [target.name for target in model.targets if "*" not in target.name]
    provider, slash, rest = name.partition("/")
    if slash and rest and provider in draft.providers:
        return [name]
    patterns = (pattern for pattern in draft.models if "*" in pattern and fnmatchcase(name, pattern))
    pattern = max(patterns, key=len, default=None)
    if pattern is None:
        return []
    start, _, end = pattern.partition("*")
    starred = name[len(start) : len(name) - len(end)]
    return [target.name.replace("*", starred, 1) for target in draft.models[pattern].targets]


def _timeouts(draft: Draft, parts: tuple[Part, Part]) -> None:
    settings, router = parts
    waits: JsonObject = {}
    for part, theirs, ours in (
        (settings, "request_timeout", "headers_s"),
        (router, "timeout", "headers_s"),
        (router, "stream_timeout", "first_event_s"),
    ):
        if seconds := part.number(theirs):
            waits[ours] = seconds
    draft.sections["timeouts"] = waits


def _switches(draft: Draft, settings: Part, router: Part) -> None:
    if settings.flag("drop_params"):
        draft.remark(
            "models", next(iter(draft.models), ""), "drop_params: what a target cannot say is dropped and told (losses: warn)"
        )
    strategy = router.text("routing_strategy")
    if strategy not in (None, "simple-shuffle"):
        draft.leave(router.under("routing_strategy"), "targets are drawn by their weights")
    args = router.take("routing_strategy_args")
    if args is not None:
        draft.leave(router.under("routing_strategy_args"), "targets are drawn by their weights")


def _keys(draft: Draft, general: Part) -> None:
    key = general.text("master_key")
    if key is not None:
        draft.add_key("master", reference(key))
        draft.remark("keys", "master", "LiteLLM's master key: here an ordinary client key, it administers nothing")

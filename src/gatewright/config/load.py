"""From a file to a `Config`: read the YAML, check its shape, follow its references, tell all that is wrong at once.

One rule: nothing is fetched, written or listened on; the environment is an argument.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gatewright.config.model import (
    Config,
    MediaFetchConfig,
    ModelListsConfig,
    ResponsesStateConfig,
    ServerConfig,
    TimeoutsConfig,
)
from gatewright.config.problems import ConfigError, ConfigProblem
from gatewright.config.references import Desk
from gatewright.config.resolve_accounts import warn_of_missing_logins
from gatewright.config.resolve_guards import resolve_guards
from gatewright.config.resolve_invariant import invariant_providers, resolve_explorer, resolve_invariant
from gatewright.config.resolve_ledger import resolve_database, resolve_ledger
from gatewright.config.resolve_limits import resolve_counters, resolve_everybody
from gatewright.config.resolve_metrics import resolve_logging, resolve_metrics
from gatewright.config.resolve_models import Names, resolve_aliases, resolve_models
from gatewright.config.resolve_otlp import resolve_otlp
from gatewright.config.resolve_pricing import resolve_pricing
from gatewright.config.resolve_principals import resolve_jwt, resolve_keys, resolve_principals, resolve_proxies
from gatewright.config.resolve_providers import resolve_providers, warn_of_self
from gatewright.config.resolve_routing import resolve_cache, resolve_routing
from gatewright.config.resolve_traces import resolve_traces
from gatewright.config.schema import ConfigFile, MediaFetchSection, ServerSection, TimeoutsSection
from gatewright.config.shape import check_shape
from gatewright.config.tree import TOP, Tree, read_file
from gatewright.config.watch import stamp_of
from gatewright.jsontypes import JsonObject


def load_config(path: str | os.PathLike[str], environ: Mapping[str, str]) -> Config:
    """The configuration in a file. Raises ConfigError with every problem that can be found, in the file's order."""
    place = Path(path)
    file = str(path)
    stamp = stamp_of(place)
    try:
        tree = read_file(place)
    except OSError as error:
        raise ConfigError(file, (ConfigProblem(place=TOP, message=f"cannot be read: {error.strerror}"),)) from None
    config = resolve_config(tree, file, place.parent, environ)
    return msgspec.structs.replace(config, files={str(place.absolute()): stamp, **config.files})


def resolve_config(tree: Tree, file: str, base: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in a document. `base` is where relative paths start. Raises ConfigError."""
    desk = Desk(tree, file, base, environ)
    for trouble in tree.troubles:
        desk.problems.append(ConfigProblem(place=trouble.place, path=trouble.path, message=trouble.message))
    sections, misshapen = check_shape(tree)
    desk.problems += misshapen
    names = Names(tree.value)
    timeouts = _timeouts(sections.timeouts)
    routing = resolve_routing(sections.routing)
    principals = resolve_principals(sections, names, desk)
    config = Config(
        source=file,
        server=server_config(sections.server, base, environ, desk),
        providers=invariant_providers(sections.invariant, resolve_providers(sections.providers, timeouts, desk), timeouts, desk),
        models=resolve_models(sections.models, names, desk, routing.policy),
        aliases=resolve_aliases(sections.aliases, names, desk),
        keys=resolve_keys(sections.keys, names, principals, desk),
        principals=principals,
        jwt=resolve_jwt(sections.auth.jwt, desk),
        media_fetch=_media_fetch(sections.media_fetch, desk),
        timeouts=timeouts,
        responses_state=ResponsesStateConfig(
            store=sections.responses_state.store,
            ttl_s=sections.responses_state.ttl_s,
            max_items=sections.responses_state.max_items,
        ),
        model_lists=ModelListsConfig(live=sections.model_lists.live, refresh_s=sections.model_lists.refresh_s),
        routing=routing,
        cache=resolve_cache(sections.cache, desk),
        limits=resolve_everybody(sections.limits, sections.budgets, desk),
        counters=resolve_counters(sections.counters, desk),
        ledger=resolve_ledger(sections.ledger),
        traces=resolve_traces(sections.traces, desk),
        otlp=resolve_otlp(sections.traces.otlp, desk),
        explorer=resolve_explorer(sections.traces.explorer, ("traces", "explorer"), desk),
        guards=resolve_guards(sections.guards, sections.models, desk),
        metrics=resolve_metrics(sections.metrics),
        logging=resolve_logging(sections.logging),
        pricing=resolve_pricing(sections.pricing, names.providers, desk),
        database=resolve_database(sections.database, desk),
        invariant=resolve_invariant(sections.invariant, sections.server.host, desk),
    )
    if desk.problems:
        raise ConfigError(file, tuple(desk.problems))
    warn_of_self(config.providers, config.server.host, config.server.port, desk)
    warn_of_missing_logins(config.providers, config.server.state_dir, desk)
    if not config.providers:
        desk.warn((), "no providers: nothing can be answered")
    return msgspec.structs.replace(config, warnings=tuple(desk.warnings), files=desk.files)


def _media_fetch(section: MediaFetchSection, desk: Desk) -> MediaFetchConfig:
    for i, host in enumerate(section.allow_hosts):
        if any(c in host for c in "/*@?# ") or (":" in host and not host.startswith("[")):
            desk.wrong(
                ("media_fetch", "allow_hosts", i), f'expected a host\'s exact name, such as files.example.com, got "{host}"'
            )
    return MediaFetchConfig(
        enabled=section.enabled, allow_hosts=frozenset(host.lower() for host in section.allow_hosts), max_bytes=section.max_bytes
    )


def json_schema() -> JsonObject:
    """JSON Schema of the file, for editors (`# yaml-language-server: $schema=…`)."""
    schema: JsonObject = ConfigFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "gatewright.yaml"}


def server_config(section: ServerSection, base: Path, environ: Mapping[str, str], desk: Desk) -> ServerConfig:
    files = [
        None if written is None else desk.existing_file(written, ("server", name))
        for name, written in (("tls_cert_file", section.tls_cert_file), ("tls_key_file", section.tls_key_file))
    ]
    if section.tls_key_file is not None and section.tls_cert_file is None:
        desk.wrong(
            ("server", "tls_key_file"), 'missing key "tls_cert_file": a private key serves nothing without its certificate'
        )
    directory = state_dir(environ) if section.state_dir is None else base / Path(section.state_dir).expanduser()
    return ServerConfig(
        host=section.host,
        port=section.port,
        workers=section.workers,
        max_body_bytes=section.max_body_bytes,
        max_answer_bytes=section.max_answer_bytes,
        max_concurrent=section.max_concurrent,
        keepalive_s=section.keepalive_s,
        drain_s=section.drain_s,
        state_dir=str(directory.absolute()),
        watch=section.watch,
        trusted_proxies=resolve_proxies(section.trusted_proxies, desk),
        tls_cert_file=files[0],
        tls_key_file=files[1],
    )


def state_dir(environ: Mapping[str, str]) -> Path:
    """Where state is kept when the file does not say: $GATEWRIGHT_HOME, else the XDG state folder."""
    if home := environ.get("GATEWRIGHT_HOME"):
        return Path(home).expanduser().absolute()
    if xdg := environ.get("XDG_STATE_HOME"):
        return Path(xdg).expanduser().absolute() / "gatewright"
    return Path(environ.get("HOME") or Path.home()).absolute() / ".local" / "state" / "gatewright"


def _timeouts(section: TimeoutsSection) -> TimeoutsConfig:
    return TimeoutsConfig(
        connect_s=section.connect_s,
        headers_s=section.headers_s,
        first_event_s=section.first_event_s,
        idle_s=section.idle_s,
        total_s=section.total_s,
    )

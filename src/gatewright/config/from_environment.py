"""A `Config` without a file: every provider that the environment has a key for, this machine only, one generated client key.

One rule: what is found is what the catalogue lists; a base URL that would make the gateway call itself is left alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gatewright.config.client_key import client_key
from gatewright.config.load import resolve_config, state_dir
from gatewright.config.model import Config, KeyConfig
from gatewright.config.problems import ConfigError
from gatewright.config.references import url_fault
from gatewright.config.resolve_providers import is_own
from gatewright.config.tree import TOP, Tree
from gatewright.jsontypes import JsonObject
from gatewright.providers.catalog import HOSTS
from gatewright.providers.environment import Found, discover, first_set
from gatewright.stores.logins import logged_in

SOURCE = "environment"
DEFAULT_PORT = 4000


def from_environment(environ: Mapping[str, str], *, port: int | None = None) -> Config:
    """The configuration that the environment makes. `port` is where the gateway will listen; None:
    $GATEWRIGHT_PORT, else 4000.

    The demo provider is always there, and so is a host of the catalogue that somebody has logged in to.

    Raises ConfigError for a base URL that is none, OSError when the generated key cannot be
    kept.
    """
    port = port or _port(environ)
    found = discover(environ, logged_in(state_dir(environ)))
    looping = [item for item in found if _is_self(item, port)]
    used = [item for item in found if item not in looping]
    ignored = [
        f"{item.base_url_name} points at this gateway itself; {item.host.title} is left out. Unset it for the gateway"
        for item in looping
    ]
    try:
        config = _resolved(used, port, environ)
    except ConfigError as error:
        left_out = {item.host.name: why for item in used if (why := _stray(item, error, environ))}
        ignored += left_out.values()
        config = _resolved([item for item in used if item.host.name not in left_out], port, environ)
    warnings = tuple(line.removeprefix(f"{SOURCE}:1:1 ") for line in config.warnings)
    key = client_key(state_dir(environ), environ)
    return msgspec.structs.replace(config, keys=(key,), warnings=(*warnings, *ignored))


def _resolved(found: Sequence[Found], port: int, environ: Mapping[str, str]) -> Config:
    providers: JsonObject = {item.host.name: _section(item) for item in found}
    models = _bare_names(tuple(providers))
    tree = Tree(value={"server": {"port": port}, "providers": providers, "models": models}, places={(): TOP}, keys={})
    return resolve_config(tree, SOURCE, Path(), environ)


def _stray(item: Found, error: ConfigError, environ: Mapping[str, str]) -> str:
    """Why a cloud is left out whose identity cannot be used; empty where it can, or where a key or a base URL was meant.

    Such variables are set for other programs, too: what is wrong with them must not keep the gateway from starting.
    """
    sign = first_set(item.host.env_signs, environ)
    why = next((problem.message for problem in error.problems if problem.path[:2] == ("providers", item.host.name)), "")
    if item.key_name is not None or item.base_url_name is not None or sign is None or not why:
        return ""
    return f"{sign} is set, but {item.host.title} is left out: {why}"


def _bare_names(providers: tuple[str, ...]) -> JsonObject:
    """Vendors' own model names without the provider before them. The demo model takes every name, but only while it is alone.

    Names of a vendor whose own host is not there go up the ladder of one that lists its models under other names.
    """
    alone = providers == ("demo",)
    names: JsonObject = {
        pattern: {"targets": [f"{name}/demo" if name == "demo" else f"{name}/{pattern}"]}
        for name in providers
        if name != "demo" or alone
        for pattern in HOSTS[name].names
    }
    for name in providers:
        for pattern in HOSTS[name].climbs:
            names.setdefault(pattern, {"ladder": {"provider": name}})
    return names


def with_client_key(config: Config, environ: Mapping[str, str]) -> tuple[Config, KeyConfig | None]:
    """`config`, with the generated client key when it declares none; the key that was added, or None. May raise OSError."""
    if config.keys:
        return config, None
    key = client_key(Path(config.server.state_dir), environ)
    return msgspec.structs.replace(config, keys=(key,)), key


def _section(found: Found) -> JsonObject:
    section: JsonObject = {}
    if found.base_url is not None:
        section["base_url"] = found.base_url
    if found.key_name is not None:
        section["api_key"] = f"env:{found.key_name}"
    return section


def _port(environ: Mapping[str, str]) -> int:
    """$GATEWRIGHT_PORT: worker processes have nothing but the environment to learn the port from."""
    given = environ.get("GATEWRIGHT_PORT", "")
    return int(given) if given.isdecimal() and 0 < int(given) < 1 << 16 else DEFAULT_PORT


def _is_self(found: Found, port: int) -> bool:
    """A shell set up for clients of the gateway (`OPENAI_BASE_URL=http://127.0.0.1:4000/v1`) must not make it call itself."""
    return found.base_url is not None and url_fault(found.base_url) is None and is_own(found.base_url, "localhost", port)

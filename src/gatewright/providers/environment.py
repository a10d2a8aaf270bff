"""What the environment says of providers: `OPENAI_API_KEY` and its like, `*_BASE_URL`.

One rule: the environment is an argument, and only names that the catalogue lists are looked at.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from gatewright.providers.catalog import CATALOG, Host
from gatewright.providers.catalog.host import placeholders


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A host that the environment configures."""

    host: Host
    key_name: str | None
    """The variable that holds the credential; the value is left where it is. None: the host needs none and none is set."""
    base_url: str | None
    """None: the host's own."""
    base_url_name: str | None = None


def first_set(names: Iterable[str], environ: Mapping[str, str]) -> str | None:
    """The first of these variables that is set and not blank."""
    return next((name for name in names if environ.get(name, "").strip()), None)


def discover(environ: Mapping[str, str], logins: Collection[str] = ()) -> tuple[Found, ...]:
    """The hosts that can be used as the environment stands, in catalogue order.

    A host with a key is used when its key is set, and so is a cloud whose identity is meant; a local one when its base URL is.
    What a host must be told to be reached at all must be set too. The demo model is always there.
    `logins`: the hosts that somebody has logged in to.
    """
    found: list[Found] = []
    for host in CATALOG:
        key_name = first_set(host.env_keys, environ)
        base_url_name = first_set(host.env_base_urls, environ)
        match host.key:
            case "required":
                usable = key_name is not None or first_set(host.env_signs, environ) is not None
            case "optional":
                usable = base_url_name is not None
            case "none":
                usable = True
            case "login":
                usable = host.name in logins
        if usable and (base_url_name is not None or _is_placed(host, environ, keyed=key_name is not None)):
            base_url = environ[base_url_name].strip() if base_url_name else None
            found.append(Found(host=host, key_name=key_name, base_url=base_url, base_url_name=base_url_name))
    return tuple(found)


def _is_placed(host: Host, environ: Mapping[str, str], *, keyed: bool) -> bool:
    """Whether everything is said that it must be told to be reached."""
    needed = placeholders(host.base_url)
    return all(
        setting.default or first_set(setting.env, environ) is not None
        for setting in host.settings
        if setting.name in needed or (setting.need == "without a key" and not keyed)
    )

"""Settings: what a kind must be told beside a credential (a project, a region, a resource), from the file or the environment.

One rule: a setting becomes part of a URL, so it is one name and nothing that could lead elsewhere.
"""

import re

from gatewright.config.references import Desk
from gatewright.config.resolve_aws import aws_region, check_region
from gatewright.config.schema import ProviderSection
from gatewright.config.secrets import BadReference, resolve
from gatewright.config.tree import KeyPath
from gatewright.providers.catalog import Host, SettingName
from gatewright.providers.environment import first_set
from gatewright.wire.json import BadJson, decode

NAMES: tuple[SettingName, ...] = ("resource", "account", "project", "location", "region", "api_version")

_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?")
"""Google's older projects have a colon (`example.com:project`)."""


def resolve_settings(section: ProviderSection, host: Host, path: KeyPath, desk: Desk) -> dict[str, str]:
    """What is set, as the file says, else as the environment does, else as the kind has it."""
    known = {setting.name: setting for setting in host.settings}
    found: dict[str, str] = {}
    for name in NAMES:
        written = getattr(section, name)
        setting = known.get(name)
        if setting is None:
            if written is not None:
                said = ", ".join(known) or "none of these"
                desk.wrong((*path, name), f'kind "{host.name}" has no such setting; it has {said}', key=True)
            continue
        if written is not None:
            value = (desk.text(written, (*path, name)) or "").strip()
        else:
            variable = first_set(setting.env, desk.environ)
            value = desk.environ[variable].strip() if variable else setting.default
            if not value and name == "project":
                value = _project_in(section, desk)
            if not value and name == "region":
                value = aws_region(section, desk)
        value = value.removeprefix("https://").rstrip("/") if name == "account" else value
        if value and _VALUE.fullmatch(value) is None:
            desk.wrong((*path, name), f'"{value[:80]}" cannot stand in a URL; expected {setting.what}')
        elif value:
            found[name] = value
            if name == "region":
                check_region(value, (*path, name), desk)
        elif setting.need == "without a key" and not _has_key(section, host, desk):
            desk.wrong(path, f'missing key "{name}" (or set {" or ".join(setting.env)}): {setting.what}')
    return found


def _has_key(section: ProviderSection, host: Host, desk: Desk) -> bool:
    given = section.api_key is not None or bool(section.api_keys) or section.credentials == "client"
    return given or first_set(host.env_keys, desk.environ) is not None


def _project_in(section: ProviderSection, desk: Desk) -> str:
    """The project that Google's credentials file names; empty where there is none. A file's faults are told elsewhere."""
    place = section.credentials_file or desk.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "").strip()
    if not place:
        return ""
    try:
        document = decode(
            resolve(place if place.startswith(("env:", "file:")) else f"file:{place}", desk.environ, desk.base).encode()
        )
    except (BadReference, BadJson):
        return ""
    found = (document.get("project_id") or document.get("quota_project_id")) if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""

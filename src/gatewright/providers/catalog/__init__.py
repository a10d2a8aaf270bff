"""The hosts that need no more than a credential and a setting or two: one row each, data only.

One rule: a host that deviates is described here, never in a dialect. A new OpenAI-compatible host is one row in one of the files.
"""

from gatewright.providers.catalog.clouds import CLOUDS
from gatewright.providers.catalog.host import Auth, Forward, Host, Identity, Need, Setting, SettingName
from gatewright.providers.catalog.inference import INFERENCE
from gatewright.providers.catalog.local import LOCAL
from gatewright.providers.catalog.makers import MAKERS

CATALOG: tuple[Host, ...] = (*MAKERS, *INFERENCE, *CLOUDS, *LOCAL)

HOSTS: dict[str, Host] = {name: host for host in CATALOG for name in (host.name, *host.aliases)}
"""By name, and by every other word for it."""

__all__ = ["CATALOG", "HOSTS", "Auth", "Forward", "Host", "Identity", "Need", "Setting", "SettingName"]

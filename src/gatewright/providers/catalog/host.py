"""What a catalogue row says of a host.

One rule: data only. Base URLs follow each vendor's own convention: OpenAI-style hosts include the version (`…/v1`), Anthropic's
and Gemini's do not, because their dialects' paths do.
"""

import string
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal
from urllib.parse import urljoin

import msgspec

from gatewright.ir.blocks import DialectName
from gatewright.providers.shapes import ShapeName

Auth = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "none", "google", "entra", "aws", "account"]
"""How a credential travels: the header, or nowhere. `bearer` is `Authorization: Bearer …`; the last four obtain tokens or sign:
see `providers/auth`."""

Identity = Literal["google", "entra", "aws"]
"""Who vouches for calls where there is no key: an account of Google's, of Microsoft's Entra ID, of AWS."""

Need = Literal["required", "optional", "none", "login"]
"""What a host wants to see: a key, a key if it has one, nothing, an account that somebody logged in with."""

Forward = Literal[
    "embeddings",
    "images",
    "audio",
    "moderations",
    "rerank",
    "completions",
    "files",
    "batches",
    "any",  # whatever else the host answers under its base URL
]

SettingName = Literal["resource", "account", "project", "location", "region", "api_version"]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a host must be told beside a credential, under the same name in the configuration."""

    name: SettingName
    what: str
    """For people: what to write there."""
    env: tuple[str, ...] = ()
    """Variables that hold it; the first that is set wins. Hosts may share them."""
    default: str = ""
    need: Literal["for the base URL", "without a key", "never"] = "for the base URL"
    """When it must be said, where there is no default. A base URL of the operator's own needs none."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One host's facts. What the operator may change stands in the configuration under the same names."""

    name: str
    title: str
    base_url: str
    """Empty: the operator must say it. `{setting}` stands for a setting."""
    dialects: tuple[DialectName, ...]
    """What it speaks. A client of none of these is served in the first."""
    speaks: tuple[tuple[str, tuple[DialectName, ...]], ...] = ()
    """Pattern of a model's name → what that model is spoken to in; the first that fits. All others: in all of `dialects`."""
    aliases: tuple[str, ...] = ()
    """Other words for it that may stand in `kind`."""
    auth: Auth = "bearer"
    key: Need = "required"
    """`optional`: local servers, which check a key only when they were given one."""
    identity: Identity | None = None
    """Who signs calls where no key is given."""
    login: str = ""
    """How one logs in: a row of `providers/oauth/descriptions`."""
    headers: tuple[tuple[str, str], ...] = ()
    """What it wants with every call, names in lower case."""
    env_keys: tuple[str, ...] = ()
    """Environment variables that hold the credential; the first that is set wins."""
    env_base_urls: tuple[str, ...] = ()
    env_signs: tuple[str, ...] = ()
    """Variables whose presence says that calls by `identity` are meant; their values are not looked at here."""
    settings: tuple[Setting, ...] = ()
    places: Mapping[str, str] = {}
    """Base URLs of single locations, where they do not follow the pattern."""
    bases: Mapping[DialectName, str] = {}
    """Dialects that live under another base: a reference relative to the base URL (RFC 3986), so that a mirror keeps the layout.
    `.` is the base URL without its last segment."""
    own_paths: tuple[str, ...] = ()
    """Ends of a base URL that people write though the shape's paths bring them along."""
    shapes: Mapping[DialectName, ShapeName] = {}
    """Dialects that it wraps in a way of its own."""
    forwards: tuple[Forward, ...] = ()
    """Endpoints it has beside the dialects', forwarded as they are."""
    models_path: str | None = None
    """Where it lists its models, under the base of its first dialect. None: where hosts of that dialect do. Empty: nowhere."""
    list_urls: tuple[str, ...] = ()
    """Where its models are listed, where that is on a host of its own; `{setting}` stands for a setting. Several lists add up."""
    price: str = ""
    """Its name in the price list (genai-prices). Empty: it has none there."""
    names: tuple[str, ...] = ()
    """Patterns of its own models' names: without a configuration they may be asked for bare."""
    climbs: tuple[str, ...] = ()
    """Patterns of names that go up its ladder, where there is no configuration and no host of their own: see `ladder.py`."""
    stores_responses: bool = False
    """Whether it keeps Responses items itself, so that `previous_response_id` may be passed to it."""
    quirks: tuple[str, ...] = ()
    """Names of what deviates: see `providers/quirks`."""
    docs: str = ""

    def base_of(self, dialect: DialectName, base_url: str) -> str:
        """The base for one dialect when the host's base URL is `base_url`; never ends in a slash."""
        elsewhere = self.bases.get(dialect)
        return (urljoin(base_url, elsewhere) if elsewhere else base_url).rstrip("/")

    def placed(self, settings: Mapping[str, str]) -> str:
        """The base URL with the settings in it; empty where one that it needs is missing."""
        url = self.places.get(settings.get("location", ""), self.base_url)
        return "" if any(not settings.get(name) for name in placeholders(url)) else url.format_map(settings)

    def spoken_to(self, model: str, dialects: tuple[DialectName, ...]) -> tuple[DialectName, ...]:
        """Those of `dialects` that a model is spoken to in; all of them where the rule leaves none."""
        for pattern, spoken in self.speaks:
            if fnmatchcase(model, pattern):
                return tuple(dialect for dialect in spoken if dialect in dialects) or dialects
        return dialects


def placeholders(url: str) -> tuple[str, ...]:
    """The settings that a base URL is made with."""
    return tuple(name for _, name, _, _ in string.Formatter().parse(url) if name)

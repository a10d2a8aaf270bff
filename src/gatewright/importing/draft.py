"""A configuration in the making: providers, models, aliases and keys, with remarks, and what could not be carried.

One rule: the same host with the same credential is one provider, however often the source repeats it.
"""

from typing import Literal

import msgspec

from gatewright.config.tree import KeyPath, Place
from gatewright.importing.source import Part, Source
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.catalog import HOSTS

Section = Literal["providers", "models", "aliases", "keys", ""]


class Left(msgspec.Struct, frozen=True, order=True):
    """Something that was not carried over."""

    place: Place
    path: KeyPath
    why: str
    section: Section = ""
    """Where the remark stands in the result; empty: at its end."""
    name: str = ""


class Target(msgspec.Struct, frozen=True):
    provider: str
    model: str
    weight: float = 1.0
    order: float = 1.0
    """Smaller ones first; the larger become fallbacks."""

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"


class Model(msgspec.Struct):
    """A model in the making."""

    targets: list[Target] = []
    settings: JsonObject = {}
    """What stands beside targets: defaults, overrides, sizes."""
    fallback: list[str] = []


class Draft:
    """Filled by an importer."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.providers: dict[str, JsonObject] = {}
        self.models: dict[str, Model] = {}
        self.aliases: dict[str, str] = {}
        self.keys: list[JsonObject] = []
        self.sections: dict[str, JsonObject] = {}
        """Other sections of the result: `server`, `timeouts`."""
        self.left: list[Left] = []
        self.remarks: dict[tuple[Section, str], list[str]] = {}
        """Remarks that are no loss, by where they stand."""

    def leave(self, path: KeyPath, why: str, section: Section = "", name: str = "") -> None:
        self.left.append(Left(self.source.at(path, key=True), path, why, section, name))

    def leave_rest(self, part: Part, reasons: dict[str, str], section: Section = "", name: str = "") -> None:
        """Everything in `part` that nobody has taken, each with its reason; an empty reason: it is nothing to be carried."""
        for key in part.names():
            part.take(key)
            why = reasons.get(key, "nothing here corresponds to it")
            if why:
                self.leave(part.under(key), why, section, name)

    def remark(self, section: Section, name: str, text: str) -> None:
        remarks = self.remarks.setdefault((section, name), [])
        if text not in remarks:
            remarks.append(text)

    def provider(self, kind: str, settings: JsonObject, wish: str = "") -> str:
        """The name of a provider with these settings: one that is there already, or a new one, `wish` if that is free."""
        section: JsonObject = {"kind": kind, **{key: value for key, value in settings.items() if value is not None}}
        same = (name for name, known in self.providers.items() if {"kind": name, **known} == section)
        if (found := next(same, None)) is not None:
            return found
        name = self.free_name(wish or kind)
        if kind == name:
            del section["kind"]
        self.providers[name] = section
        return name

    def free_name(self, wish: str) -> str:
        name, n = wish, 1
        while name in self.providers:
            n += 1
            name = f"{wish}-{n}"
        return name

    def model(self, name: str) -> Model:
        return self.models.setdefault(name, Model())

    def add_key(self, name: str, key: str, models: list[str] | None = None) -> None:
        taken = {entry["name"] for entry in self.keys}
        free, n = name, 1
        while free in taken:
            n += 1
            free = f"{name}-{n}"
        entry: JsonObject = {"name": free, "key": key}
        if models is not None:
            entry["models"] = list[JsonValue](models)
        self.keys.append(entry)


def kind_of(word: str, words: dict[str, str]) -> str | None:
    """The catalogue's name for another gateway's word for a host; None when there is none."""
    plain = word.strip().lower()
    for candidate in (
        words.get(plain, plain),
        plain.replace("_", "-"),
        plain.replace("-", "_"),
        plain.replace("-ai", "").replace("_ai", ""),
    ):
        if candidate in HOSTS and candidate not in ("demo", "custom"):
            return HOSTS[candidate].name
    return words.get(plain) if words.get(plain) == "custom" else None

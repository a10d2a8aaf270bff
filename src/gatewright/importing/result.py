"""The result: gatewright.yaml as text, with remarks in their places, and a summary for the operator. Pure."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

import msgspec

from gatewright.config.tree import show_path
from gatewright.importing.draft import Draft, Left, Model, Section, Target
from gatewright.jsontypes import JsonObject, JsonValue

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*")
_TAKEN = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_MOST_WEIGHT = 10_000


class Result(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    """gatewright.yaml."""
    counts: tuple[tuple[int, str], ...]
    left: tuple[Left, ...]
    """In the order of the source."""
    variables: tuple[str, ...]
    """Environment variables that the result refers to."""


def imported(draft: Draft, gateway: str) -> Result:
    """The draft as a file. `gateway`: whose configuration it was, for the first line."""
    document = _document(draft)
    left = tuple(sorted(draft.left))
    remarks = {key: list(lines) for key, lines in draft.remarks.items()}
    for one in left:
        if one.section:
            remarks.setdefault((one.section, one.name), []).append(f"not carried over: {_told(one)}")
    lines = [f"# Made from {plain(draft.source.file)} ({gateway}). Check it with: gatewright check"]
    lines += _written(document, remarks)
    rest = [one for one in left if not one.section]
    if rest:
        lines += ["", "# Not carried over:"]
        lines += [f"#   {plain(_told(one))}" for one in rest]
    text = "\n".join(lines) + "\n"
    variables = tuple(sorted(set(re.findall(r"\benv:([A-Za-z_][A-Za-z0-9_]*)", json.dumps(document)))))
    return Result(
        text=text,
        counts=((len(draft.providers), "provider"), (len(draft.models), "model"), (len(draft.keys), "key")),
        left=left,
        variables=variables,
    )


def told(draft: Draft, one: Left) -> str:
    """`config.yaml:31:5 router_settings.num_retries: why`."""
    return plain(f"{draft.source.file}:{one.place.line}:{one.place.column} {show_path(one.path)}: {one.why}")


def plain(text: str) -> str:
    """Text for a line of its own, in a comment or on a terminal: names in a source may hold anything."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _told(one: Left) -> str:
    return f"line {one.place.line}, {show_path(one.path)}: {one.why}"


def _document(draft: Draft) -> JsonObject:
    document: JsonObject = {"providers": dict[str, JsonValue](draft.providers)}
    if draft.models:
        document["models"] = {name: _model(model) for name, model in draft.models.items()}
    if draft.aliases:
        document["aliases"] = dict[str, JsonValue](draft.aliases)
    if draft.keys:
        document["keys"] = list[JsonValue](draft.keys)
    return document | {name: section for name, section in draft.sections.items() if section}


def _model(model: Model) -> JsonObject:
    first = min((target.order for target in model.targets), default=1.0)
    targets = _distinct([target for target in model.targets if target.order == first])
    later = sorted((target for target in model.targets if target.order != first), key=lambda target: target.order)
    weights = whole_weights([target.weight for target in targets])
    named: list[JsonValue] = [
        target.name if len(set(weights)) == 1 else {"target": target.name, "weight": weight}
        for target, weight in zip(targets, weights, strict=True)
    ]
    section: JsonObject = {"targets": named}
    served = {target.name for target in targets}
    fallback = [name for name in dict.fromkeys([*(target.name for target in later), *model.fallback]) if name not in served]
    if fallback:
        section["fallback"] = list[JsonValue](fallback)
    return section | model.settings


def _distinct(targets: list[Target]) -> list[Target]:
    """Each target once, with the weight of all its repetitions."""
    found: dict[str, Target] = {}
    for target in targets:
        before = found.get(target.name)
        weight = target.weight + (before.weight if before else 0.0)
        found[target.name] = msgspec.structs.replace(target, weight=weight)
    return list(found.values())


def whole_weights(weights: list[float]) -> list[int]:
    """Weights as whole numbers in the same proportions, as small as they can be."""
    exact = [Fraction(str(weight)).limit_denominator(1000) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in exact)) if exact else 1
    whole = [int(weight * scale) for weight in exact]
    common = math.gcd(*whole) or 1
    whole = [weight // common for weight in whole]
    largest = max(whole, default=0)
    if largest > _MOST_WEIGHT:
        whole = [max(1, round(weight * _MOST_WEIGHT / largest)) if weight else 0 for weight in whole]
    return whole if any(whole) else [1] * len(whole)


def _written(document: JsonObject, remarks: Mapping[tuple[Section, str], list[str]]) -> Iterator[str]:
    for name, section in document.items():
        yield ""
        yield f"{name}:"
        if isinstance(section, dict):
            for key, value in section.items():
                yield from _remarks(remarks, name, key)
                yield from _entry(f"  {_scalar(key)}:", value)
        elif isinstance(section, list):
            for entry in section:
                key = str(entry["name"]) if isinstance(entry, dict) and "name" in entry else ""
                yield from _remarks(remarks, name, key)
                yield f"  - {_flow(entry)}"


def _remarks(remarks: Mapping[tuple[Section, str], list[str]], section: str, name: str) -> Iterator[str]:
    for (at, about), lines in remarks.items():
        if (at, about) == (section, name):
            yield from (f"  # {plain(line)}" for line in lines)


def _entry(head: str, value: JsonValue) -> Iterator[str]:
    """One line where it fits, else a line a key."""
    flow = _flow(value)
    if not isinstance(value, dict) or len(head) + len(flow) < 100:
        yield f"{head} {flow}"
        return
    yield head
    indent = " " * (len(head) - len(head.lstrip()) + 2)
    for key, inner in value.items():
        flow = _flow(inner)
        if isinstance(inner, list) and len(indent) + len(key) + len(flow) > 100:
            yield f"{indent}{_scalar(key)}:"
            yield from (f"{indent}  - {_flow(item)}" for item in inner)
        else:
            yield f"{indent}{_scalar(key)}: {flow}"


def _flow(value: JsonValue) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: JsonValue) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _TAKEN:
        return value
    if isinstance(value, str) and not value.isprintable():
        return '"' + "".join(map(_escaped, value)) + '"'
    return json.dumps(value, ensure_ascii=False)


def _escaped(character: str) -> str:
    """As YAML writes it between double quotes, where JSON's pairs of surrogates would be two characters."""
    if character.isprintable() and character not in '"\\':
        return character
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\U{ord(character):08x}"

"""What a policy is made of, once read. Frozen; every node knows its place.

One rule: the tree says what was written. What it may cost and in which order it is looked at is decided by `plan`.
"""

from typing import Literal, TypeAlias

import msgspec

from gatewright.invariant.policy.faults import Spot
from gatewright.invariant.policy.regexes import Regex

Scalar: TypeAlias = str | int | float | bool | None


class Node(msgspec.Struct, frozen=True):
    at: Spot


class Constant(Node, frozen=True):
    value: Scalar


class Name(Node, frozen=True):
    name: str


class Member(Node, frozen=True):
    of: "Expression"
    name: str


class Item(Node, frozen=True):
    of: "Expression"
    key: "Expression"


class Piece(Node, frozen=True):
    """`x[start:end]`."""

    of: "Expression"
    start: "Expression | None"
    end: "Expression | None"


class Call(Node, frozen=True):
    function: "Expression"
    arguments: "tuple[Expression, ...]"
    named: "tuple[tuple[str, Expression], ...]" = ()


class Search(Node, frozen=True):
    """`match(pattern, text)`, `find(pattern, text)`."""

    kind: Literal["match", "find"]
    regex: Regex | None
    """None: the pattern is not known before the evaluation."""
    pattern: "Expression"
    text: "Expression"


class Unary(Node, frozen=True):
    op: Literal["not", "-", "+"]
    operand: "Expression"


class Binary(Node, frozen=True):
    op: str
    left: "Expression"
    right: "Expression"


class Compare(Node, frozen=True):
    """`==`, `<`, `in`, `not in`, `is`"""

    op: str
    left: "Expression"
    right: "Expression"


class Logic(Node, frozen=True):
    op: Literal["and", "or"]
    parts: "tuple[Expression, ...]"


class Ternary(Node, frozen=True):
    condition: "Expression"
    then: "Expression"
    otherwise: "Expression"


class ListOf(Node, frozen=True):
    items: "tuple[Expression, ...]"
    kind: Literal["list", "set", "tuple"] = "list"


class DictOf(Node, frozen=True):
    items: "tuple[tuple[Expression, Expression], ...]"


class Comprehension(Node, frozen=True):
    """`[item for name in source if condition]`."""

    item: "Expression"
    name: str
    source: "Expression"
    condition: "Expression | None"


class Binder(Node, frozen=True):
    """`(name: Type)`: any of the conversation."""

    name: str
    type: str


class Among(Node, frozen=True):
    """`(name: Type) in source`."""

    binder: Binder
    source: "Expression"


class Flow(Node, frozen=True):
    """`a -> b`: b comes anywhere after a. `a ~> b`: at once."""

    op: Literal["->", "~>"]
    left: "Binder | Name"
    right: "Binder | Name"


class Assign(Node, frozen=True):
    name: str
    value: "Expression"


class AnyValue(Node, frozen=True):
    """`*`"""


class OneText(Node, frozen=True):
    """A text that the value equals, or that matches all of it as a regular expression."""

    text: str
    regex: Regex | None


class OneValue(Node, frozen=True):
    value: Scalar


class OfKind(Node, frozen=True):
    """`<EMAIL_ADDRESS>`: a detector finds it in the value."""

    kind: str


class Entries(Node, frozen=True):
    entries: "tuple[tuple[str, Pattern], ...]"


class Items(Node, frozen=True):
    items: "tuple[Pattern, ...]"


Pattern: TypeAlias = AnyValue | OneText | OneValue | OfKind | Entries | Items


class IsTool(Node, frozen=True):
    """`subject is tool:name({…})`."""

    subject: "Expression"
    tool: str
    """Empty: any."""
    arguments: Pattern | None
    negated: bool = False


class Quantified(Node, frozen=True):
    """`count(min=2): …`, `forall: …`, `exists: …`, and with `not` before it."""

    kind: Literal["count", "forall", "exists"]
    body: "tuple[Expression, ...]"
    least: int | None = None
    most: int | None = None
    negated: bool = False


Expression: TypeAlias = (
    Constant
    | Name
    | Member
    | Item
    | Piece
    | Call
    | Search
    | Unary
    | Binary
    | Compare
    | Logic
    | Ternary
    | ListOf
    | DictOf
    | Comprehension
    | Binder
    | Among
    | Flow
    | Assign
    | IsTool
    | Quantified
)


class Import(Node, frozen=True):
    module: str
    names: tuple[tuple[str, str, Spot], ...]
    """(name, as, place). Empty: the module itself."""


class Raise(Node, frozen=True):
    what: Expression
    body: tuple[Expression, ...]


class Constants(Node, frozen=True):
    """`NAME := value`, outside of rules."""

    name: str
    value: Expression


class Predicate(Node, frozen=True):
    """`name(x: T) := …`: holds where all its lines do."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    body: tuple[Expression, ...]


Statement: TypeAlias = Import | Raise | Constants | Predicate

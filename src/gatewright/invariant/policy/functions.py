"""The functions of the language and the methods of its texts. Plain, bounded, no state.

One rule: what is not there is None, and None is answered quietly (no length, no texts, found in nothing); what is of the wrong
kind fails with words, so that a rule is never skipped in silence.
"""

from collections.abc import Callable, Sequence

from gatewright.invariant.policy.bounds import MAX_MADE, Budget
from gatewright.invariant.policy.faults import Failed, Spot
from gatewright.invariant.policy.trace import Contents, Placed, Thing, Value, texts_of

Function = Callable[["Asking", Sequence[Value]], Value]


class Asking:
    """Where a function is called, and from what budget it lives."""

    __slots__ = ("at", "budget")

    def __init__(self, at: Spot, budget: Budget) -> None:
        self.at = at
        self.budget = budget

    def fail(self, words: str) -> Failed:
        return Failed(self.at, words)


def said(value: Value) -> str:
    """The kind of a value, in an error."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case dict():
            return "an object"
        case list() | tuple() | set() | Contents():
            return "a list"
        case Thing():
            return f"a {value.type}"
        case _:
            return "a value"


def items(asking: Asking, value: Value) -> Sequence[Value]:
    """What can be gone through; of None, nothing."""
    match value:
        case None:
            return ()
        case list() | tuple():
            return value
        case set():
            return sorted(value, key=repr)
        case dict():
            return list(value)
        case Contents():
            return value.chunks
        case str():
            asking.budget.spend(asking.at, len(value))
            return list(value)
        case _:
            raise asking.fail(f"expected a list, got {said(value)}")


def as_text(asking: Asking, value: Value) -> str | None:
    """A text, or the texts of a message's content as one. None: it is nothing."""
    match value:
        case None:
            return None
        case str():
            return value
        case Contents():
            return value.whole
        case Thing() if value.type in ("Message", "ToolOutput", "TextChunk"):
            return "\n".join(texts_of(value))
        case _:
            raise asking.fail(f"expected a text, got {said(value)}")


def number(asking: Asking, value: Value) -> int | float:
    if isinstance(value, int | float):
        return value
    raise asking.fail(f"expected a number, got {said(value)}")


def length(asking: Asking, arguments: Sequence[Value]) -> int:
    value = _one(asking, arguments)
    if isinstance(value, Contents):
        return len(value.whole)
    if isinstance(value, str | list | tuple | dict | set):
        return len(value)
    if value is None:
        return 0
    raise asking.fail(f"{said(value)} has no length")


def truth(value: Value) -> bool:
    """Whether a condition holds: empty texts, lists and objects do not."""
    return len(value.chunks) > 0 if isinstance(value, Contents) else bool(value)


def _one(asking: Asking, arguments: Sequence[Value]) -> Value:
    if len(arguments) != 1:
        raise asking.fail(f"expected one argument, got {len(arguments)}")
    return arguments[0]


def _any(asking: Asking, arguments: Sequence[Value]) -> bool:
    return any(truth(item) for item in _spent(asking, _one(asking, arguments)))


def _all(asking: Asking, arguments: Sequence[Value]) -> bool:
    return all(truth(item) for item in _spent(asking, _one(asking, arguments)))


def _spent(asking: Asking, value: Value) -> Sequence[Value]:
    found = items(asking, value)
    asking.budget.spend(asking.at, len(found))
    return found


def _empty(asking: Asking, arguments: Sequence[Value]) -> bool:
    return length(asking, arguments) == 0


def _extreme(choose: Callable[[Sequence[float]], float]) -> Function:
    def extreme(asking: Asking, arguments: Sequence[Value]) -> Value:
        values = _spent(asking, arguments[0]) if len(arguments) == 1 else arguments
        if not values:
            return None
        return choose([number(asking, value) for value in values])

    return extreme


def _sum(asking: Asking, arguments: Sequence[Value]) -> int | float:
    return sum(number(asking, value) for value in _spent(asking, _one(asking, arguments)))


def _set(asking: Asking, arguments: Sequence[Value]) -> set[Value]:
    return _hashed(asking, _spent(asking, arguments[0]) if arguments else ())


def _hashed(asking: Asking, values: Sequence[Value]) -> set[Value]:
    try:
        return set(values)
    except TypeError:
        raise asking.fail("a set holds texts and numbers alone") from None


def make_set(asking: Asking, values: Sequence[Value]) -> set[Value]:
    return _hashed(asking, values)


def _list(asking: Asking, arguments: Sequence[Value]) -> list[Value]:
    return list(_spent(asking, arguments[0])) if arguments else []


def _sorted(asking: Asking, arguments: Sequence[Value]) -> list[Value]:
    values = list(_spent(asking, _one(asking, arguments)))
    try:
        return sorted(values)  # type: ignore[type-var]
    except TypeError:
        raise asking.fail("cannot sort what is not of one kind") from None


def _str(asking: Asking, arguments: Sequence[Value]) -> str:
    value = _one(asking, arguments)
    match value:
        case str():
            return value
        case None | bool() | int() | float():
            return str(value)
        case Contents():
            return value.whole
        case _:
            return "\n".join(texts_of(value))


def _int(asking: Asking, arguments: Sequence[Value]) -> int | None:
    value = _one(asking, arguments)
    try:
        return int(value) if isinstance(value, int | float) or (isinstance(value, str) and len(value) < 64) else None
    except (ValueError, OverflowError):
        return None


def _float(asking: Asking, arguments: Sequence[Value]) -> float | None:
    value = _one(asking, arguments)
    try:
        return float(value) if isinstance(value, int | float) or (isinstance(value, str) and len(value) < 64) else None
    except (ValueError, OverflowError):
        return None


def _bool(asking: Asking, arguments: Sequence[Value]) -> bool:
    return truth(_one(asking, arguments))


def _abs(asking: Asking, arguments: Sequence[Value]) -> int | float:
    return abs(number(asking, _one(asking, arguments)))


def _text(asking: Asking, arguments: Sequence[Value]) -> list[Value]:
    """`text(msg)`: every text of what is given, in order."""
    found: list[Value] = [text for argument in arguments for text in texts_of(argument)]
    asking.budget.spend(asking.at, len(found))
    return found


def _image(asking: Asking, arguments: Sequence[Value]) -> list[Value]:
    """`image(msg)`: the URLs of the images in what is given."""
    found: list[Value] = []
    waiting = list(arguments)
    while waiting:
        asking.budget.spend(asking.at)
        value = waiting.pop(0)
        if isinstance(value, Contents):
            waiting[:0] = value.chunks
        elif isinstance(value, list | tuple):
            waiting[:0] = value
        elif isinstance(value, Thing) and value.type in ("Message", "ToolOutput"):
            waiting.insert(0, value.fields.get("content"))
        elif isinstance(value, Thing) and value.type == "Image":
            source = value.fields.get("image_url")
            found.append(source.get("url") if isinstance(source, dict) else source)
        elif isinstance(value, str) and value.startswith("data:image/"):
            found.append(value)
    return found


def _tool_call(asking: Asking, arguments: Sequence[Value]) -> Value:
    """`tool_call(out)`: the call that an output is of."""
    output = _one(asking, arguments)
    if not isinstance(output, Thing) or output.type != "ToolOutput":
        raise asking.fail(f"tool_call wants a ToolOutput, got {said(output)}")
    return output.call


def _print(_: Asking, __: Sequence[Value]) -> bool:
    return True


FUNCTIONS: dict[str, Function] = {
    "abs": _abs,
    "all": _all,
    "any": _any,
    "bool": _bool,
    "empty": _empty,
    "float": _float,
    "image": _image,
    "int": _int,
    "len": length,
    "list": _list,
    "max": _extreme(max),
    "min": _extreme(min),
    "print": _print,
    "set": _set,
    "sorted": _sorted,
    "str": _str,
    "sum": _sum,
    "text": _text,
    "tool_call": _tool_call,
    "tuple": _list,
}
"""Functions over values. `match`, `regex`, `find` and the detectors need more and are the evaluation's own."""


def _grown(asking: Asking, size: int) -> None:
    if size > MAX_MADE:
        raise asking.fail(f"builds a text of more than {MAX_MADE} characters")
    asking.budget.scan(asking.at, size)


def _replace(asking: Asking, text: str, arguments: Sequence[str]) -> str:
    old, new = arguments
    _grown(asking, len(text) + (text.count(old) * len(new)))
    return text.replace(old, new)


def _join(asking: Asking, text: str, parts: Sequence[Value]) -> str:
    words = [as_text(asking, part) or "" for part in parts]
    _grown(asking, sum(map(len, words)) + len(text) * len(words))
    return text.join(words)


_Method = tuple[int, int, Callable[..., Value]]
METHODS: dict[str, _Method] = {
    "capitalize": (0, 0, str.capitalize),
    "casefold": (0, 0, str.casefold),
    "count": (1, 1, str.count),
    "endswith": (1, 1, str.endswith),
    "find": (1, 1, str.find),
    "isalnum": (0, 0, str.isalnum),
    "isalpha": (0, 0, str.isalpha),
    "isascii": (0, 0, str.isascii),
    "isdigit": (0, 0, str.isdigit),
    "islower": (0, 0, str.islower),
    "isnumeric": (0, 0, str.isnumeric),
    "isspace": (0, 0, str.isspace),
    "isupper": (0, 0, str.isupper),
    "lower": (0, 0, str.lower),
    "lstrip": (0, 1, str.lstrip),
    "partition": (1, 1, lambda text, separator: list(text.partition(separator))),
    "removeprefix": (1, 1, str.removeprefix),
    "removesuffix": (1, 1, str.removesuffix),
    "rfind": (1, 1, str.rfind),
    "rstrip": (0, 1, str.rstrip),
    "split": (0, 1, str.split),
    "splitlines": (0, 0, str.splitlines),
    "startswith": (1, 1, str.startswith),
    "strip": (0, 1, str.strip),
    "swapcase": (0, 0, str.swapcase),
    "title": (0, 0, str.title),
    "upper": (0, 0, str.upper),
}
"""Name → (fewest, most texts it takes, what it does)."""
_KEEPS_PLACES = frozenset(("lower", "upper", "casefold", "swapcase", "title", "capitalize"))
"""What is found in the result stands at the same place in the text, where the length is the same."""
METHOD_NAMES = frozenset((*METHODS, "replace", "join", "get", "keys", "values", "items", "text", "image"))


def call_method(asking: Asking, value: Value, name: str, arguments: Sequence[Value]) -> Value:
    """`value.name(arguments)`; of None, None."""
    if value is None:
        return None
    if isinstance(value, dict) and name in ("get", "keys", "values", "items"):
        return _of_object(asking, value, name, arguments)
    if isinstance(value, Contents) and name in ("text", "image"):
        return (_text if name == "text" else _image)(asking, [value])
    text = as_text(asking, value)
    assert text is not None
    if name == "join":
        return _join(asking, text, items(asking, arguments[0] if arguments else None))
    asking.budget.scan(asking.at, len(text))
    words: list[str] = []
    for argument in arguments:
        if not isinstance(argument, str):
            raise asking.fail(f"{name} wants a text, got {said(argument)}")
        words.append(argument)
    if name == "replace":
        if len(words) != 2:
            raise asking.fail("replace takes two texts")
        return _replace(asking, text, words)
    if name not in METHODS:
        raise asking.fail(f'texts have no method "{name}"')
    fewest, most, method = METHODS[name]
    if not fewest <= len(words) <= most:
        raise asking.fail(f"{name} takes {fewest if fewest == most else f'{fewest} or {most}'} arguments, got {len(words)}")
    try:
        made = method(text, *words)
    except ValueError:
        raise asking.fail(f"{name} cannot use an empty text") from None
    if isinstance(made, list):
        asking.budget.spend(asking.at, len(made) // 8)
    elif isinstance(value, Placed) and isinstance(made, str) and name in _KEEPS_PLACES and len(made) == len(value):
        return Placed.at(value.path, made, value.start)
    return made


def _of_object(asking: Asking, value: dict[str, Value], name: str, arguments: Sequence[Value]) -> Value:
    asking.budget.spend(asking.at, len(value))
    match name:
        case "keys":
            return list(value)
        case "values":
            return list(value.values())
        case "items":
            return [list(pair) for pair in value.items()]
    if not 1 <= len(arguments) <= 2 or not isinstance(arguments[0], str):
        raise asking.fail("get takes a key and, if you like, what to give where it is not there")
    return value.get(arguments[0], arguments[1] if len(arguments) > 1 else None)

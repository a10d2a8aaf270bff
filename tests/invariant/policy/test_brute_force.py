"""Rules over small conversations, against every combination of their events tried out.

The other side shares nothing with ours: it lists events itself, knows conditions as Python functions, and combines without
thought. Order of lines, early filters and quantifiers must not change what is found.
"""

from collections import Counter
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.invariant.policy.bounds import MAX_VIOLATIONS
from tests.invariant.policy.talk import call, found, result, said, user

TYPES = {"Message": ("m", "n"), "ToolCall": ("c", "d"), "ToolOutput": ("o", "p")}
TYPE_OF = {name: kind for kind, names in TYPES.items() for name in names}
WORDS = ("red", "blue", "")
TOOLS = ("read", "send")


class Event:
    """As the other side sees one."""

    def __init__(self, kind, path, order, content="", role="", tool="", number=0, of=""):
        self.kind, self.path, self.order = kind, path, order
        self.content, self.role, self.tool, self.number, self.of = content, role, tool, number, of


def events_of(messages):
    events, names = [], {}
    for i, message in enumerate(messages):
        if message["role"] == "tool":
            of = names.get(message["tool_call_id"], "")
            events.append(Event("ToolOutput", f"messages.{i}", len(events), message["content"], of=of))
            continue
        events.append(Event("Message", f"messages.{i}", len(events), message["content"] or "", message["role"]))
        for j, one in enumerate(message.get("tool_calls", ())):
            function = one["function"]
            names[one["id"]] = function["name"]
            path = f"messages.{i}.tool_calls.{j}"
            events.append(Event("ToolCall", path, len(events), tool=function["name"], number=function["arguments"]["n"]))
    return events


conversations = st.lists(
    st.one_of(
        st.builds(user, st.sampled_from(WORDS)),
        st.builds(
            lambda content, calls: said(content, *[call(name, identity, n=number) for name, identity, number in calls]),
            st.sampled_from((*WORDS, None)),
            st.lists(st.tuples(st.sampled_from(TOOLS), st.sampled_from("12"), st.integers(0, 2)), max_size=2),
        ),
        st.builds(result, st.sampled_from(WORDS), st.sampled_from("12")),
    ),
    max_size=5,
)


@st.composite
def conditions(draw, names, negations=2):
    """(line, names it speaks of, whether it holds)."""
    name = draw(st.sampled_from(names))
    kind = TYPE_OF[name]
    choices = (["flow", "flow"] if len(names) > 1 else []) + (["negated"] if negations else [])
    choices += {"Message": ["role", "word"], "ToolCall": ["tool", "number", "pattern"], "ToolOutput": ["word", "tool"]}[kind]
    match draw(st.sampled_from(choices)):
        case "flow":
            other, arrow = draw(st.sampled_from([one for one in names if one != name])), draw(st.sampled_from(("->", "~>")))
            apart = (
                (lambda e: e[name].order < e[other].order) if arrow == "->" else (lambda e: e[name].order + 1 == e[other].order)
            )
            return f"{name} {arrow} {other}", apart
        case "role":
            role = draw(st.sampled_from(("user", "assistant")))
            return f'{name}.role == "{role}"', lambda e: e[name].role == role
        case "word":
            word = draw(st.sampled_from(("re", "blue")))
            return f'"{word}" in {name}.content', lambda e: word in e[name].content
        case "tool":
            tool = draw(st.sampled_from(TOOLS))
            return f"{name} is tool:{tool}", lambda e: tool == (e[name].tool if kind == "ToolCall" else e[name].of)
        case "number":
            number = draw(st.integers(0, 2))
            return f"{name}.function.arguments.n >= {number}", lambda e: e[name].number >= number
        case "pattern":
            number = draw(st.integers(0, 2))
            return f"{name} is tool:*({{n: {number}}})", lambda e: e[name].number == number
        case _:
            line, holds = draw(conditions(names, negations - 1))
            return f"not ({line})", lambda e: not holds(e)


def solutions(events, names, tests):
    for chosen in product(*[[one for one in events if one.kind == TYPE_OF[name]] for name in names]):
        env = dict(zip(names, chosen, strict=True))
        if all(holds(env) for holds in tests):
            yield env


@settings(max_examples=150, deadline=None)
@given(st.data(), conversations)
def test_flows_and_filters_find_what_trying_everything_finds(data, messages):
    names = data.draw(st.lists(st.sampled_from(sorted(TYPE_OF)), min_size=1, max_size=3, unique=True))
    tests = data.draw(st.lists(conditions(names), max_size=4))
    lines = [*(f"({name}: {TYPE_OF[name]})" for name in names), *(line for line, _ in tests)]
    lines = data.draw(st.permutations(lines))
    policy = 'raise "x" if:\n' + "".join(f"    {line}\n" for line in lines)
    told = sorted(tuple(sorted(place for place in one.ranges if ":" not in place)) for one in found(policy, *messages))
    expected = sorted(
        tuple(sorted({event.path for event in env.values()}))
        for env in solutions(events_of(messages), names, [holds for _, holds in tests])
    )
    if len(expected) > MAX_VIOLATIONS:
        assert len(told) == MAX_VIOLATIONS, policy
        assert not Counter(told) - Counter(expected), policy
    else:
        assert told == expected, policy


@settings(max_examples=150, deadline=None)
@given(st.data(), conversations)
def test_quantifiers_find_what_counting_everything_finds(data, messages):
    outer = data.draw(st.lists(st.sampled_from(("c", "m")), max_size=1, unique=True))
    inner = data.draw(st.lists(st.sampled_from(("d", "n", "o")), min_size=1, max_size=2, unique=True))
    tests = data.draw(st.lists(conditions([*outer, *inner]), max_size=3))
    kind = data.draw(st.sampled_from(("count", "forall", "exists")))
    least, most = data.draw(st.integers(0, 3)), data.draw(st.none() | st.integers(0, 3))
    negated = data.draw(st.booleans())
    bounds = f"(min={least}" + (f", max={most})" if most is not None else ")") if kind == "count" else ""
    block = data.draw(st.permutations([*(f"({name}: {TYPE_OF[name]})" for name in inner), *(line for line, _ in tests)]))
    policy = (
        'raise "x" if:\n'
        + "".join(f"    ({name}: {TYPE_OF[name]})\n" for name in outer)
        + f"    {'not ' if negated else ''}{kind}{bounds}:\n"
        + "".join(f"        {line}\n" for line in block)
    )
    events = events_of(messages)
    expected = 0
    for around in solutions(events, outer, []):
        good = every = 0
        for chosen in product(*[[one for one in events if one.kind == TYPE_OF[name]] for name in inner]):
            env = {**around, **dict(zip(inner, chosen, strict=True))}
            every += 1
            good += all(holds(env) for _, holds in tests)
        match kind:
            case "count":
                holds = least <= good and (most is None or good <= most)
            case "forall":
                holds = good == every
            case _:
                holds = good > 0
        expected += holds != negated
    assert len(found(policy, *messages)) == expected, policy


@settings(max_examples=100, deadline=None)
@given(st.data(), conversations, st.integers(0, 5))
def test_what_is_new_is_all_but_what_was_there_before(data, messages, since):
    """Of the rules without quantifiers: told is exactly what involves a new message."""
    names = data.draw(st.lists(st.sampled_from(sorted(TYPE_OF)), min_size=1, max_size=2, unique=True))
    tests = data.draw(st.lists(conditions(names), max_size=3))
    policy = (
        'raise "x" if:\n'
        + "".join(f"    ({name}: {TYPE_OF[name]})\n" for name in names)
        + "".join(f"    {line}\n" for line, _ in tests)
    )
    events = events_of(messages)
    expected = sum(
        since == 0 or any(int(event.path.split(".")[1]) >= since for event in env.values())
        for env in solutions(events, names, [holds for _, holds in tests])
    )
    assert len(found(policy, *messages, since=since)) == expected, policy

"""What an evaluation costs: `python -m tests.invariant.cost` prints microseconds for a unit of work, and times of whole policies.

A unit is bounded by what the dearest operation makes of it; `bounds.MAX_WORK` of them are the longest an evaluation can take.
"""

from time import perf_counter

from gatewright.guards.policy_rule import bound
from gatewright.invariant.policy import parse
from gatewright.invariant.policy.bounds import MAX_WORK
from gatewright.jsontypes import JsonObject
from tests.invariant.documented import documented

BIG = "lorem ipsum dolor, sit amet. " * 4_000
HOSTILE = {
    "a product of bindings": "(a: Message)\n    (b: Message)\n    (c: Message)\n    (d: Message)\n    a.role + b.role + c.role == d.role",
    "a scan of a large text": '(a: Message)\n    (b: Message)\n    "not there" in a.content + b.content',
    "a pattern over a large text": '(a: Message)\n    (b: Message)\n    match("(.*x)*y", a.content) or match("(a|b|.)*z{20}$", b.content)',
    "a detector over many texts": "(a: Message)\n    (b: Message)\n    any(pii(a.content + b.role + str(len(b.content))))",
    "a count within a product": "(a: Message)\n    (b: Message)\n    count(min=1000):\n        (c: Message)\n        a -> c\n        b -> c",
    "lines of a large text": '(a: Message)\n    (b: Message)\n    (x: str) in a.content.split(" ")\n    (y: str) in b.content.split(" ")\n    x + y == "q"',
    "replacing in a large text": '(a: Message)\n    (b: Message)\n    a.content.replace("o", "00").lower().title() == b.content.upper()',
}


def conversation(length: int, text: str = "") -> list[JsonObject]:
    return [{"role": ("user", "assistant")[n % 2], "content": f"message {n} {text}"} for n in range(length)]


def agent(turns: int) -> list[JsonObject]:
    """An agent at work: a call and its result in each turn."""
    made: list[JsonObject] = [{"role": "user", "content": "Summarise the notes and send them"}]
    for n in range(turns):
        function: JsonObject = {"name": "read", "arguments": {"path": f"notes/{n}.txt", "lines": 40}}
        made.append(
            {
                "role": "assistant",
                "content": "Reading on.",
                "tool_calls": [{"id": str(n), "type": "function", "function": function}],
            }
        )
        made.append(
            {"role": "tool", "tool_call_id": str(n), "content": "The meeting was held; nobody said anything of note. " * 20}
        )
    return made


def main() -> None:
    print(f"{'hostile policy':34} {'ms to the end of its work':>26} {'us/unit':>8}")
    for name, lines in HOSTILE.items():
        policy = parse(f'raise "x" if:\n    {lines}\n', bound())
        messages = conversation(40, BIG)
        started = perf_counter()
        violations = policy.evaluate(messages)
        spent = perf_counter() - started
        print(
            f"{name:34} {spent * 1e3:20.0f} {'(cut)' if violations and violations[-1].failed else '':>5} {spent / MAX_WORK * 1e6:8.2f}"
        )
    every = [parse(example.policy, bound()) for page in documented() for example in page.examples if not example.refused]
    for turns in (5, 50, 200):
        messages = agent(turns)
        started = perf_counter()
        for policy in every:
            policy.evaluate(messages)
        print(
            f"{len(every)} documented policies over {len(messages)} messages: {(perf_counter() - started) / len(every) * 1e3:.2f} ms each"
        )
    started = perf_counter()
    for page in documented():
        for example in page.examples:
            if not example.refused:
                parse(example.policy, bound())
    print(f"reading a documented policy: {(perf_counter() - started) / len(every) * 1e3:.2f} ms")


if __name__ == "__main__":
    main()

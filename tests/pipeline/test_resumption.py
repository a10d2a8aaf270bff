"""Who is asked to go on, and after what."""

import pytest

from gatewright.dialects import BY_NAME
from gatewright.errors import Problem, Refused
from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.ir.blocks import Text, ToolCall
from gatewright.ir.events import BlockStart, MessageStart, TextDelta
from gatewright.pipeline.continuation import Live
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.policy import Policy
from gatewright.pipeline.resumption import MOST_RESUMES, RESUMABLE, Resumption
from gatewright.pipeline.route import straight
from gatewright.routing.hedge import Rule as HedgeRule
from gatewright.routing.retry import Rule
from gatewright.transport import HttpTransport
from gatewright.wire.http import Call

BROKEN = Problem(kind="upstream", message="cut")
BODY = b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}'


def candidate(name: str) -> Candidate:
    provider, _, model = name.partition("/")
    transport = HttpTransport("http://127.0.0.1:1")
    endpoint = Endpoint(
        name=provider,
        dialects=("anthropic",),
        transports={"anthropic": transport},
        base_paths={"anthropic": ""},
        auth={"anthropic": "none"},
        secret="",
    )
    return Candidate(endpoint, model)


def live_of(*blocks) -> Live:
    """What is out: the beginnings of these."""
    live = Live(BY_NAME["anthropic"].stream_renderer(None), BY_NAME["anthropic"])
    live.render([MessageStart(id="a", model="a", origin="anthropic"), BlockStart(0, Text(text="")), TextDelta(0, "So it")])
    for i, block in enumerate(blocks):
        live.render([BlockStart(i + 1, block)])
    return live


def resumption(*names: str, served: str, following=None, made: int = 1, now: float = 0.0, rule: Rule = Rule()) -> Resumption:  # noqa: B008 - a frozen value
    exchange = Exchange(
        request_id="r",
        dialect="anthropic",
        operation="generate",
        method="POST",
        call=Call(path="/v1/messages", query={}, headers={}, body=BODY),
        started=0.0,
    )
    exchange.plan, exchange.served, exchange.stream = tuple(candidate(name) for name in names), served, True
    exchange.attempts = [AttemptRecord(served, "anthropic", 0.0, sent=True) for _ in range(made)]
    route = straight("p", "m", Policy(on_cut="resume", hedge=HedgeRule(), retry=rule))
    return Resumption(BY_NAME, exchange, route, following, lambda: now)


class Following:
    """The attempts: fails for all but one, keeps what it was asked."""

    def __init__(self, works: str = "", problem: Problem = BROKEN) -> None:
        self.works, self.problem, self.asked = works, problem, []

    async def __call__(self, exchange: Exchange) -> Reply:
        (only,) = exchange.plan
        last = exchange.request.messages[-1]
        self.asked.append((only.name, last.role))
        self.exchange = exchange
        exchange.attempts.append(AttemptRecord(only.name, "anthropic", 0.0, sent=True))
        if only.name == self.works:
            exchange.served = only.name
            return Reply(200, b"", b"rest")
        if self.problem.kind == "not_found":
            raise Refused(self.problem)
        return Reply(502, b"", problem=self.problem)


@pytest.mark.parametrize(
    ("served", "asked"),
    [("a/m", ["b/m", "c/m"]), ("b/m", ["c/m", "a/m"]), ("c/m", ["a/m", "b/m"])],
)
async def test_others_are_asked_before_those_that_were_passed_over(served, asked):
    """In the plan's order, beginning behind the one that broke; that one is not asked again."""
    following = Following()
    given = resumption("a/m", "b/m", "c/m", served=served, following=following)
    assert await given.go_on(live_of(), None) is None
    assert [name for name, _ in following.asked] == asked
    assert given.exchange.attempts[-1].message.endswith("not resumed: no target took it over")


async def test_the_only_one_is_asked_again():
    """There is nobody else."""
    following = Following("a/m")
    assert await resumption("a/m", served="a/m", following=following).go_on(live_of(), None) is not None
    assert following.asked == [("a/m", "user")]


async def test_a_resume_is_recorded_and_bounded_as_attempts_are():
    """No hedge, no second wrapping; the tries that are left; only the last target is tried more than once."""
    following = Following("b/m")
    given = resumption("a/m", "b/m", "c/m", served="a/m", following=following, rule=Rule(tries_each=3, tries_all=5))
    assert await given.go_on(live_of(), None) is not None
    policy = following.exchange.route.policy
    assert (policy.on_cut, policy.hedge, policy.retry.tries_all, policy.retry.tries_each) == ("fail", None, 4, 1)
    assert [(record.target, record.resumed) for record in given.exchange.attempts] == [("a/m", False), ("b/m", True)]
    assert given.served == "b/m"
    assert given.mark() == b": gatewright resumed on b/m\n\n"


async def test_a_target_that_refuses_a_begun_turn_is_asked_by_another():
    """What is believed of a model may be wrong for a host: its 400 is no end."""
    following = Following(problem=Problem(kind="invalid_request", message="no prefill"))
    given = resumption("a/m", "b/claude-sonnet-4-5", served="a/m", following=following)
    assert await given.go_on(live_of(), None) is None
    assert following.asked == [("b/claude-sonnet-4-5", "assistant"), ("b/claude-sonnet-4-5", "user")]


async def test_who_cannot_be_asked_at_all_is_passed_over():
    """A refusal of ours is not the stream's end either."""
    following = Following("c/m", Problem(kind="not_found", message="no"))
    given = resumption("a/m", "b/m", "c/m", served="a/m", following=following)
    assert await given.go_on(live_of(), None) is not None


def test_only_what_the_provider_did_is_resumed():
    """Limits, filters and whatever the client must mend end a stream."""
    assert RESUMABLE.isdisjoint({"client", "filtered", "cancelled", "ours", "throttled", "out_of_money", "our_credential"})
    given = resumption("a/m", served="a/m")
    for kind in ("invalid_request", "permission", "rate_limit", "billing", "internal"):
        assert given.forbidden(Problem(kind=kind, message=""), live_of())
    for kind in ("upstream", "timeout", "overloaded"):
        assert given.forbidden(Problem(kind=kind, message=""), live_of()) == ""


def test_there_are_bounds():
    """Resumes of one stream, tries of one request, and what two models cannot make."""
    given = resumption("a/m", served="a/m", made=2, rule=Rule(tries_all=2))
    assert given.forbidden(BROKEN, live_of()) == "2 attempts were made"
    assert resumption("a/m", served="a/m", now=600.0).forbidden(BROKEN, live_of()) == "the time is up"
    given = resumption("a/m", served="a/m", now=599.0)
    assert given.forbidden(BROKEN, live_of(ToolCall(id="c", name="f", arguments=""))) == "a tool call is out"
    given.times = MOST_RESUMES
    assert "resumed 2 times" in given.forbidden(BROKEN, live_of())


def test_a_mark_cannot_be_broken_out_of():
    """A client may have named the model: no line of it ends the comment."""
    given = resumption("a/m", served="a/x\n\ndata: evil")
    assert given.mark() == b": gatewright resumed on a/x??data: evil\n\n"
    given.exchange.operation = "invoke"
    assert given.mark() == b""

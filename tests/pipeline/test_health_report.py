"""Health, told: a key sees the targets of models that it may use, each as it stands; nobody is called for it, and no secret told."""

from functools import partial

import msgspec
from tests.plays.failing import error, hosts, idle
from tests.plays.scene import ask

from gatewright.exchange import Principal
from gatewright.pipeline.health_report import HealthReport, Report

ALL = Principal("admin", role="admin")
TWO = "  m: {targets: [a/m]}\n  n: {targets: [a/n, b/n]}\n  free-*: {targets: ['b/*']}"
FAILS = "retry: {tries_each: 1, base_s: 0.01}, breaker: {in_a_row: 3, open_s: 60}"


def stage_of(gw) -> HealthReport:
    """The stage, out of the stack of its operation."""
    below = gw.gateway.stacks.by_operation["target_health"]
    while not isinstance(below.func, HealthReport):
        below = below.keywords["following"]
    assert isinstance(below, partial)
    return below.func


def told(report: Report) -> dict:
    return {one.target: one for one in report.targets}


async def test_every_configured_target_is_told_though_it_was_never_called(tmp_path):
    """By name, each once, with the models that lead to it; a provider is asked nothing."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO + "\n  also: {targets: [a/m]}") as gw:
        report = stage_of(gw).report(ALL)
        assert [one.target for one in report.targets] == ["a/m", "a/n", "b/n"]
        assert {name: one.models for name, one in told(report).items()} == {"a/m": ("m", "also"), "a/n": ("n",), "b/n": ("n",)}
        assert {one.standing for one in report.targets} == {"closed"}
        assert {(one.ttft_s, one.in_flight, one.queue) for one in report.targets} == {(None, 0, None)}
        assert gw.a.requests == gw.b.requests == []
        assert report.breakers


async def test_an_open_circuit_is_told_of_its_model_alone_with_when_it_is_tried_again(tmp_path):
    """The provider answers: its other models stand well."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, routing=FAILS) as gw:
        gw.a.answers = [[error(500)]]
        for _ in range(2):
            await ask(gw, "openai_chat", "m")
        failing = told(stage_of(gw).report(ALL))["a/m"]
        assert (failing.model.failures_in_a_row, failing.model.calls, failing.model.failures) == (2, 2.0, 2.0)
        assert (failing.model.open_for_s, failing.model.next_probe_s) == (None, None)
        await ask(gw, "openai_chat", "m")
        found = told(stage_of(gw).report(ALL))
        down = found["a/m"]
        assert (down.standing, down.model.standing, down.provider.standing) == ("open", "open", "closed")
        assert 0 <= down.model.open_for_s < 30
        assert 0 < down.model.next_probe_s <= 60
        assert (found["a/n"].standing, found["a/n"].model.next_probe_s) == ("closed", None)
        assert idle(gw)


async def test_a_key_sees_what_it_may_use_and_nothing_else(tmp_path):
    """Neither the configured targets of others nor what others have called by its own name."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO) as gw:
        await ask(gw, "openai_chat", "a/own")
        await ask(gw, "openai_chat", "free-x")
        stage = stage_of(gw)
        assert list(told(stage.report(Principal("narrow", models=("n",))))) == ["a/n", "b/n"]
        assert list(told(stage.report(Principal("nobody", models=())))) == []
        everything = told(stage.report(ALL))
        assert everything["a/own"].models == ()
        assert everything["a/own"].ttft_s is not None
        assert everything["b/x"].models == ("free-*",)


async def test_a_resting_key_is_told_by_its_name_and_why(tmp_path):
    """Of one key, and of several; what it is stays here."""
    keys = "max_concurrent: 3"
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, providers=keys) as gw:
        gw.a.answers = [[error(429, headers="retry-after: 40\r\n")]]
        await ask(gw, "openai_chat", "m")
        report = stage_of(gw).report(ALL)
        (rest,) = told(report)["a/m"].resting_keys
        assert (rest.key, rest.why) == ("key", "as the provider asked")
        assert 30 < rest.rests_s <= 40
        assert told(report)["b/n"].resting_keys == ()
        assert (told(report)["a/m"].queue.running, told(report)["a/m"].queue.waiting) == (0, 0)
        assert b"sk-" not in msgspec.json.encode(report)


async def test_where_no_circuit_ever_opens_it_says_so(tmp_path):
    """However often a target has failed."""
    async with hosts(
        tmp_path, "openai_chat", models="  m: {targets: [a/m]}", routing="breaker: false, retry: {tries_all: 1}"
    ) as gw:
        gw.a.answers = [[error(500)]]
        for _ in range(20):
            await ask(gw, "openai_chat", "m")
        report = stage_of(gw).report(ALL)
        assert not report.breakers
        assert [one.standing for one in report.targets] == ["closed"]

"""Services that are asked over HTTP, each in its own form, on real sockets."""

import asyncio
import json
import logging

import pytest
from tests.guards.detect.talks import answer, talk, user
from tests.plays.guarded import guards
from tests.plays.scene import ask as ask_gateway
from tests.plays.scene import providers, served
from tests.serving import answer as http
from tests.serving import gateway, upstream

from gatewright.guards.terms import Text
from gatewright.pipeline.guard_kinds import Means, read_kind
from gatewright.pipeline.guard_webhook_forms import AZURE_CHARS, MOST_CALLS

KEY = "whk-secret-value"


class Asker:
    request_id = "req-1"


class Clock:
    now = 1000.0

    def clock(self) -> float:
        return self.now


class Service:
    """One webhook, ready to be asked, and who stands behind it."""

    def __init__(self, up, made, clock) -> None:
        self.up, self.made, self.clock = up, made, clock

    async def ask(self, *texts: Text, said=None):
        return await self.made.ask(
            talk(user("hi"), tools=("search",)), said, texts or (Text("user", "messages[0]", "hello"),), Asker()
        )

    def body(self, index: int = -1) -> dict:
        return json.loads(self.up.requests[index].partition(b"\r\n\r\n")[2])


@pytest.fixture
async def service():
    """Makes webhooks with settings; closes what they opened."""
    opened, clock = [], Clock()
    async with upstream() as up:

        def make(told: object = None, *, status: int = 200, path: str = "/check", **settings) -> Service:
            up.answers = [[http(told if isinstance(told, bytes) else json.dumps(told).encode(), status=status)]]
            url = f"http://127.0.0.1:{up.port}{path}"
            means = Means(environ={}, endpoints={}, dialects={}, health=clock, settles=None, opened=opened)
            return Service(up, read_kind("webhook", {"url": url, "api_key": KEY, **settings}).make(means), clock)

        yield make
        for transport in opened:
            await transport.close()


@pytest.mark.parametrize(
    ("form", "told", "kinds"),
    [
        ("gatewright", {"allow": True}, []),
        ("gatewright", {"findings": []}, []),
        ("gatewright", {"allow": False, "message": "no"}, ["webhook"]),
        ("gatewright", {"findings": [{"kind": "Bad Words!", "path": "messages[0]", "start": 1, "end": 2}]}, ["bad_words_"]),
        ("opa", {"result": True}, []),
        ("opa", {"result": False}, ["opa"]),
        ("opa", {"result": {"allow": True}}, []),
        ("opa", {"result": {"allow": False}}, ["opa"]),
        ("opa", {"result": {"deny": ["a", {"msg": "b"}]}}, ["opa", "opa"]),
        ("opa", {"result": {"allow": True, "violations": []}}, []),
        ("opa", {"result": []}, []),
        ("opa", {"result": ["no"]}, ["opa"]),
        ("lakera", {"flagged": False}, []),
        ("lakera", {"flagged": True}, ["lakera"]),
        (
            "lakera",
            {
                "flagged": True,
                "breakdown": [{"detector_type": "prompt_attack", "detected": True}, {"detector_type": "pii", "detected": False}],
            },
            ["prompt_attack"],
        ),
        (
            "azure_text",
            {"categoriesAnalysis": [{"category": "Hate", "severity": 4}, {"category": "Violence", "severity": 2}]},
            ["hate"],
        ),
        ("azure_text", {"categoriesAnalysis": [], "blocklistsMatch": [{"blocklistName": "Mine"}]}, ["mine"]),
        ("azure_shield", {"userPromptAnalysis": {"attackDetected": True}, "documentsAnalysis": []}, ["user_prompt_attack"]),
        (
            "azure_shield",
            {"userPromptAnalysis": {"attackDetected": False}, "documentsAnalysis": [{"attackDetected": True}]},
            ["document_attack"],
        ),
    ],
)
async def test_verdicts_are_read_in_every_form(service, form, told, kinds):
    assert [finding.kind for finding in await service(told, form=form).ask()] == kinds


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("gatewright", {}),
        ("gatewright", {"allow": "yes"}),
        ("gatewright", []),
        ("opa", {}),
        ("opa", {"result": {"other": 1}}),
        ("opa", {"result": {"allow": "true"}}),
        ("lakera", {}),
        ("azure_text", {"error": {"code": "x"}}),
        ("azure_shield", {}),
        ("gatewright", b"not json"),
        ("gatewright", b"[" * 100_000),
        ("gatewright", b"x" * (2 << 20)),
    ],
)
async def test_what_says_neither_yes_nor_no_is_no_yes(service, form, told):
    """An undefined policy, an error with status 200, nonsense: closed, it is found; open, it passes."""
    assert [finding.kind for finding in await service(told, form=form).ask()] == ["unanswered"]
    assert await service(told, form=form, on_failure="open").ask() == ()


async def test_each_is_asked_as_it_wants_to_be(service):
    """With its key where it looks for it, and with what its form can say."""
    ours = service({"allow": True}, path="/a?b=c", headers={"x-team": "t"})
    await ours.ask(said=answer())
    head = ours.up.requests[-1].partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"post /a?b=c http/1.1")
    assert f"authorization: bearer {KEY}".encode() in head
    assert b"x-team: t" in head
    assert ours.body()["direction"] == "answer"
    assert ours.body()["texts"] == [{"part": "user", "path": "messages[0]", "tool": "", "text": "hello"}]
    assert ours.body()["tools"] == ["search"]
    opa = service({"result": True}, form="opa")
    await opa.ask()
    assert opa.body()["input"]["model"] == "m"
    lakera = service({"flagged": False}, form="lakera", project="p-1")
    await lakera.ask(Text("system", "a", "be nice"), Text("tool_result", "b", "page"))
    assert lakera.body() == {
        "messages": [{"role": "system", "content": "be nice"}, {"role": "tool", "content": "page"}],
        "breakdown": True,
        "project_id": "p-1",
    }
    shield = service({"userPromptAnalysis": {"attackDetected": False}}, form="azure_shield")
    await shield.ask(Text("user", "a", "prompt"), Text("tool_result", "b", "page"))
    assert {(body["userPrompt"], *body["documents"]) for body in map(shield.body, (-1, -2))} == {("prompt",), ("", "page")}
    assert f"ocp-apim-subscription-key: {KEY}".encode() in shield.up.requests[-1].lower()


async def test_long_texts_are_asked_about_in_parts_that_overlap(service):
    """What lies across a cut is whole in one of them; too many parts have no verdict."""
    text = "".join(f"{number:06d} " for number in range(3000))
    azure = service({"categoriesAnalysis": []}, form="azure_text")
    assert await azure.ask(Text("user", "a", text)) == []
    parts = [azure.body(index)["text"] for index in range(len(azure.up.requests))]
    assert all(len(part) <= AZURE_CHARS for part in parts)
    assert all(any(text[at : at + 100] in part for part in parts) for at in range(0, len(text) - 100, 50))
    asked = len(azure.up.requests)
    assert [f.kind for f in await azure.ask(Text("user", "a", "x" * AZURE_CHARS * (MOST_CALLS + 1)))] == ["unanswered"]
    assert len(azure.up.requests) == asked


async def test_who_is_late_has_said_nothing(service):
    slow = service({"allow": True}, timeout_s=0.2)
    slow.up.answers = [[5.0]]
    [finding] = await slow.ask()
    assert finding.kind == "unanswered"
    assert "0.2 s" in finding.message


async def test_who_fails_again_and_again_is_left_alone_for_a_while(service):
    """And asked again when it has rested."""
    broken = service({"allow": True}, status=500)
    for _ in range(10):
        assert [f.kind for f in await broken.ask()] == ["unanswered"]
    asked = len(broken.up.requests)
    assert asked == 5
    broken.up.answers = [[http(b'{"allow": true}')]]
    broken.clock.now += 11
    assert await broken.ask() == []
    assert len(broken.up.requests) == asked + 1


async def test_who_is_not_waited_for_any_more_has_not_failed(service):
    slow = service({"allow": True}, timeout_s=5)
    slow.up.answers = [[30.0]]
    for _ in range(7):
        asking = asyncio.ensure_future(slow.ask())
        await asyncio.sleep(0.02)
        asking.cancel()
        await asyncio.wait((asking,))
    slow.up.answers = [[http(b'{"allow": true}')]]
    assert await slow.ask() == []


async def test_nothing_secret_is_told_of_a_failure(service, caplog):
    """Not the key, not what was asked about, not what came back."""
    caplog.set_level(logging.INFO)
    broken = service(b"the key whk-secret-value is wrong", status=401)
    [finding] = await broken.ask(Text("user", "a", "my own words"))
    told = finding.message + caplog.text
    assert "401" in told
    assert KEY not in told
    assert "my own words" not in told


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "url"),
        ({"url": "ftp://x"}, r"expected an http.*\$.url"),
        ({"url": "http://"}, r"\$.url"),
        ({"url": "http://u:p@x/"}, "credentials"),
        ({"url": "http://x/#a"}, "fragment"),
        ({"url": "http://x:y/"}, r"not a URL"),
        ({"url": "http://x", "form": "other"}, r"\$.form"),
        ({"url": "http://x", "headers": {"a b": "c"}}, r"\$.headers"),
        ({"url": "http://x", "headers": {"a": "c\r\nd: e"}}, r"\$.headers"),
        ({"url": "http://x", "timeout_s": 0}, r"\$.timeout_s"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(settings, says):
    with pytest.raises(ValueError, match=says):
        read_kind("webhook", settings)


@pytest.mark.parametrize("allow", [True, False])
async def test_a_whole_gateway_asks_and_obeys(tmp_path, allow):
    """From the configuration to the client, and its connections are closed with the gateway."""
    async with upstream() as check, upstream() as up:
        check.answers = [[http(json.dumps({"allow": allow}).encode())]]
        up.answers = [served("openai_chat")]
        rule = f"    - {{name: outside, kind: webhook, url: 'http://127.0.0.1:{check.port}/x', direction: request}}"
        async with gateway(providers(up.port) + guards(rule), tmp_path) as gw:
            got = await ask_gateway(gw, "openai_chat", "to-openai_chat", "hello there")
        assert got.status == (200 if allow else 400)
        assert b"hello there" in check.requests[0]
        assert (b"'outside'" in got.body) is not allow

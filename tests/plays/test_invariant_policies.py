"""Where the policies of a request at Invariant's paths come from, and what follows when nobody tells them."""

import asyncio

import pytest

from gatewright.config import ConfigError
from tests.plays.invariant_scene import DATASET, DIALECTS, FILE_POLICY, INV, ask, key_lines, scene, served
from tests.plays.test_invariant_guardrails import OGRE


@pytest.mark.parametrize(
    ("header", "dataset", "blocked"),
    [(True, True, "header"), (True, False, "header"), (False, True, "dataset"), (False, False, "file")],
)
async def test_which_policy_counts(tmp_path, header, dataset, blocked):
    """The header's before the dataset's, the dataset's before the file's."""
    rule = 'raise "by the {0}" if:\n    (msg: Message)\n    "forbidden by {0}" in msg.content\n'
    async with scene(tmp_path, policy=rule.format("file")) as s:
        if dataset:
            s.explorer.policy(rule.format("dataset"))
        more = {"Invariant-Guardrails": rule.format("header").encode("unicode-escape").decode()} if header else {}
        headers = key_lines("openai_chat", **more)
        for source in ("header", "dataset", "file"):
            s.up.answers = [served("openai_chat")]
            got = await ask(s, "openai_chat", f"forbidden by {source}", headers=headers)
            assert (got.status == 400) == (source == blocked), source


async def test_policies_of_a_dataset_are_asked_for_once(tmp_path):
    """By many requests at the same time, and by later ones; Invariant's gateway asks twice for each of them."""
    async with scene(tmp_path) as s:
        s.explorer.policy(OGRE)
        s.up.answers = [served("openai_chat", "a prince")]
        answers = await asyncio.gather(*(ask(s, "openai_chat") for _ in range(6)))
        answers.append(await ask(s, "openai_chat"))
        assert {got.status for got in answers} == {200}
        assert len(s.explorer.questions("identity")) == 1
        (asked,) = s.explorer.questions("/policy")
        assert asked.path == f"/api/v1/dataset/byuser/developer/{DATASET}/policy"
        await ask(s, "openai_chat", dataset="another")
        assert len(s.explorer.questions("/policy")) == 2


async def test_policies_are_asked_for_anew_when_they_are_old(tmp_path):
    """`policies_ttl_s`: 0 asks each time; what has changed counts then."""
    async with scene(tmp_path, policies_ttl_s=0) as s:
        s.up.answers = [served("openai_chat", "an ogre")]
        assert (await ask(s, "openai_chat")).status == 200
        s.explorer.policy(OGRE)
        assert (await ask(s, "openai_chat")).status == 400


async def test_the_name_of_a_dataset_leads_nowhere_else(tmp_path):
    """It is quoted on its way to Explorer."""
    async with scene(tmp_path) as s:
        s.up.answers = [served("openai_chat")]
        await ask(s, "openai_chat", dataset="a%3Fb=c%23d%20e")
        (asked,) = s.explorer.questions("/policy")
        assert asked.path == "/api/v1/dataset/byuser/developer/a%3Fb%3Dc%23d%20e/policy"
        assert not asked.query


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_key_that_explorer_does_not_know(tmp_path, dialect):
    """401, in the words of Invariant's gateway; nobody is called."""
    async with scene(tmp_path) as s:
        got = await ask(s, dialect, headers=key_lines(dialect, invariant="inv-wrong"))
        assert (got.status, got.json) == (401, {"detail": "Invalid Invariant API key. Please check your API key."})
        assert not s.up.requests


@pytest.mark.parametrize(("way", "status"), [("block", 503), ("pass", 200)])
@pytest.mark.parametrize("trouble", [(500, {}), (200, "<html>"), (200, {"nothing": 1}), None])
async def test_an_explorer_that_does_not_tell_policies(tmp_path, way, status, trouble):
    """Fail closed, unless the operator says otherwise; what is known already goes on in any case."""
    async with scene(tmp_path, on_failure=way, policies_ttl_s=0, deadline_s=0.3) as s:
        s.up.answers = [served("openai_chat", "an ogre")]
        s.explorer.answer_with = lambda asked: trouble
        got = await ask(s, "openai_chat")
        assert got.status == status, got.body
        if status != 200:
            assert b"on_failure" in got.body
        s.explorer.answer_with = None
        s.explorer.policy(OGRE)
        assert (await ask(s, "openai_chat")).status == 400
        s.explorer.answer_with = lambda asked: trouble
        assert (await ask(s, "openai_chat")).status == 400


async def test_a_policy_file_that_is_none_keeps_the_gateway_from_starting(tmp_path):
    """With file, line and column of the policy, as for every other setting."""
    with pytest.raises(ConfigError, match=r"invariant\.guardrails_file: .*policy\.gr:3:\d+"):
        async with scene(tmp_path, policy='raise "x" if:\n    (msg: Message)\n    illegal statement\n'):
            pass


async def test_the_file_may_be_named_by_its_variable(tmp_path):
    """GUARDRAILS_FILE_PATH."""
    file = tmp_path / "elsewhere.gr"
    file.write_text(FILE_POLICY)
    async with scene(tmp_path, environ={"GUARDRAILS_FILE_PATH": str(file), "INVARIANT_API_KEY": INV}) as s:
        s.up.answers = [served("openai_chat", "Madrid")]
        assert (await ask(s, "openai_chat", dataset="")).status == 400

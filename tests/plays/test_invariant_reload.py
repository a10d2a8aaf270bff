"""A configuration that changes: what is known from Explorer goes on where it may, and what nobody uses is let go."""

import json

from gatewright.app import generation_of
from gatewright.config import load_config
from tests.plays.invariant_scene import ask, scene, served
from tests.plays.test_invariant_guardrails import OGRE


def renewed(s, tmp_path, more="", **changes):
    """The gateway, with another configuration."""
    current = s.gw.house.current
    file = tmp_path / "gatewright.yaml"
    lines = file.read_text().split("\n")
    settings = {**json.loads(lines[0].removeprefix("invariant: ")), **changes}
    file.write_text("\n".join((f"invariant: {json.dumps(settings)}", more, *lines[1:])))
    config = load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)})
    new = generation_of(config, {}, current)

    s.gw.house.take_over(new, lambda _gateway: None)
    return current, new


async def test_what_is_known_goes_on_where_the_section_is_the_same(tmp_path):
    """Policies are not asked for anew, and traces that wait are pushed, because something else was changed."""
    async with scene(tmp_path) as s:
        s.explorer.policy(OGRE)
        s.up.answers = [served("openai_chat")]
        assert (await ask(s, "openai_chat")).status == 200
        old, new = renewed(s, tmp_path, more="aliases: {}")
        assert new.exploring is old.exploring
        assert new.endpoints["invariant-openai"] is not old.endpoints["invariant-openai"]


async def test_another_section_is_another_explorer(tmp_path):
    """The old one pushes what it has and is closed."""
    async with scene(tmp_path) as s:
        s.up.answers = [served("openai_chat")]
        assert (await ask(s, "openai_chat")).status == 200
        old, new = renewed(s, tmp_path, push="reference")
        assert new.exploring is not old.exploring
        await s.gw.house._older[old]
        assert old.exploring.explorer._closed
        assert not new.exploring.explorer._closed
        await s.explorer.trace()


async def test_it_may_be_switched_off(tmp_path):
    """The paths lead nowhere then."""
    async with scene(tmp_path) as s:
        _, new = renewed(s, tmp_path, enabled=False)
        assert new.exploring is None
        matched, *_ = new.gateway.inbound.matched(b"POST", b"/api/v1/gateway/openai/chat/completions")
        assert matched.operation == "unknown"
        assert not any(name.startswith("invariant") for name in new.endpoints)

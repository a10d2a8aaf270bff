"""Invariant's paths in the gateway's own traces and logs: recorded as all others, without anybody's key."""

import logging

import msgspec
import pytest

from tests.plays.invariant_scene import DIALECTS, FILE_POLICY, INV, PROVIDER_KEY, VENDOR, ask, key_lines, scene, served
from tests.plays.kept_traces import kept
from tests.serving import KEY

TRACES = "traces: {enabled: true, index_share: 0}"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("joined", [False, True])
async def test_exchanges_are_traced_without_their_keys(tmp_path, caplog, dialect, stream, joined):
    """Answered, blocked and refused ones; neither the provider's key, nor Invariant's, nor the gateway's."""
    caplog.set_level(logging.DEBUG)
    async with scene(tmp_path, more=TRACES, policy=FILE_POLICY) as s:
        try:
            s.up.answers = [served(dialect, "fine", stream=stream)]
            headers = key_lines(dialect, joined=joined, x_gatewright_key=KEY)
            assert (await ask(s, dialect, "hi", stream=stream, headers=headers)).status == 200
            await ask(s, dialect, "Fight Club", stream=stream, headers=headers)
            wrong = key_lines(dialect, joined=joined, invariant="inv-wrong")
            assert (await ask(s, dialect, "hi", stream=stream, headers=wrong)).status == 401
            await s.explorer.trace(2)
            traces = await kept(s.gw, tmp_path)
        finally:
            s.gw.house.current.tracing.close()
    assert len(traces) == 3
    answered = next(trace for trace in traces if trace.outcome == "ok")
    assert (answered.provider, answered.key_name) == (f"invariant-{VENDOR[dialect]}", "test")
    blocked = next(trace for trace in traces if trace.rules)
    assert blocked.rules == ("invariant",)
    said = msgspec.json.encode(traces).decode() + "".join(repr(trace) for trace in traces) + caplog.text
    for secret in (INV, PROVIDER_KEY[dialect], KEY, "inv-wrong"):
        assert secret not in said

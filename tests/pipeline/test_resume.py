"""The stage: who is watched."""

from gatewright.dialects import BY_NAME
from gatewright.exchange import Exchange, Reply
from gatewright.pipeline.policy import Policy
from gatewright.pipeline.resume import Resume
from gatewright.pipeline.route import straight
from gatewright.pipeline.sources import BaseSource


async def test_only_routes_that_ask_for_it_are_watched():
    """Another route's reply is given on as it is, and the stage awaits nothing itself."""
    source = BaseSource.__new__(BaseSource)
    reply = Reply(200, b"", source=source)

    async def following(_exchange):
        return reply

    for policy, stream in ((Policy(), True), (Policy(on_cut="resume"), False)):
        exchange = Exchange(request_id="r", dialect="anthropic", operation="generate", method="POST", call=None, started=0.0)
        exchange.route, exchange.stream = straight("p", "m", policy), stream
        assert (await Resume(BY_NAME, lambda: 0.0)(exchange, following)).source is source
        assert exchange.over is None

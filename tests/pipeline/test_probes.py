"""Probes: small calls of the gateway's own that find out whether a provider serves, on nobody's account but its own."""

from tests.plays.failing import host, idle, soon
from tests.plays.scene import served
from tests.serving import gateway, upstream

from gatewright.pipeline.probes import PROBER
from gatewright.principals.records import RESERVED


async def test_a_probe_is_a_small_call_in_the_gateways_own_name(tmp_path):
    """It asks the provider as any call does, is written down under the name that no key may have, and leaves nothing in flight."""
    async with upstream() as up:
        up.answers = [served("openai_chat")]
        config = f"providers: {{a: {host(up.port, more='probe: {model: m, every_s: 1}')}}}\n"
        async with gateway(config, tmp_path) as gw:
            gw.house.current.probes.start()
            await soon(lambda: up.requests, 10)
            await soon(lambda: gw.house.current.books.usage.tallies, 10)
            assert [key for key, _ in gw.house.current.books.usage.tallies] == [PROBER.name]
            assert idle(gw)
    assert PROBER.name in RESERVED
    assert b'"model":"m"' in up.body().replace(b" ", b"")

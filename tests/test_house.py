"""What a new configuration makes takes over from what the old one made: what has not changed is kept, the rest is closed in time."""

import asyncio
from pathlib import Path

from gatewright.app import generation_of
from gatewright.config import load_config
from gatewright.house import Generation, House
from gatewright.ir.response import Usage
from gatewright.principals.secrets import digest
from gatewright.providers.known_models import Listed
from tests.serving import KEY
from tests.test_reload import keyed, yaml


def generation(tmp_path: Path, text: str, before: Generation | None = None) -> Generation:
    file = tmp_path / "gatewright.yaml"
    file.write_text(text)
    return generation_of(load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)}), {}, before)


async def test_what_has_not_changed_is_kept(tmp_path):
    """Connections, counters, stores and digests of keys that are still good survive; what changed is built anew."""
    first = generation(tmp_path, keyed(yaml(1)))
    house = House(first)
    old = {KEY.encode(): digest(KEY.encode()), b"gone": digest(b"gone")}
    first.authenticate.digests.update(old)
    second = generation(tmp_path, keyed(yaml(1, connect_s=6)), first)
    assert second.endpoints["up"] is first.endpoints["up"]
    assert second.endpoints["also"] is not first.endpoints["also"]
    assert (second.kept, second.books, second.health, second.desk) == (first.kept, first.books, first.health, first.desk)
    assert second.lists.prices is first.lists.prices
    given = []
    house.take_over(second, given.append)
    assert given == [second.gateway]
    assert second.authenticate.digests == {KEY.encode(): digest(KEY.encode())}
    await house.close()


async def test_only_what_nobody_holds_is_closed(tmp_path):
    """A provider that came back while an old answer ran has other connections than that answer."""
    first = generation(tmp_path, keyed(yaml(1)))
    house = House(first)
    closed = []
    first.gateway.active = 1
    for name, text in (("second", keyed(yaml(1, connect_s=6))), ("third", keyed(yaml(1, connect_s=7)))):
        new = generation(tmp_path, text, house.current)
        for endpoint in new.endpoints.values():
            for transport in endpoint._transports.values():
                transport.close = _noting(transport.close, closed, f"{name} {endpoint.name}")
        house.take_over(new, lambda _gateway: None)
    await asyncio.sleep(0.3)
    assert closed == ["second also"], "the second answers nobody; the first still does, and shares `up` with the third"
    assert house.active() == 1
    assert new.gateway.others() == 1
    first.gateway.active = 0
    await asyncio.sleep(0.3)
    assert closed == ["second also"], "`up` belongs to the third, too"
    assert house.active() == 0
    await house.close()
    assert sorted(set(closed)) == ["second also", "second up", "third also", "third up"]


def _noting(close, closed: list[str], name: str):
    async def noting() -> None:
        closed.append(name)
        await close()

    return noting


async def test_lists_of_models_survive(tmp_path):
    """What a provider lists is known after a change as before, and it is not asked again for that."""
    first = generation(tmp_path, keyed(yaml(1)))
    house = House(first)
    first.lists.known.learn("up", [Listed("some-model")], asyncio.get_running_loop().time())
    elsewhere = generation(
        tmp_path,
        keyed(
            yaml(1).replace(
                'up: {kind: openai, base_url: "http://127.0.0.1:1/', 'up: {kind: openai, base_url: "http://127.0.0.1:2/'
            )
        ),
        first,
    )
    second = generation(tmp_path, keyed(yaml(1, connect_s=6)), first)
    house.take_over(second, lambda _gateway: None)
    assert set(second.lists.known.models("up")) == {"some-model"}
    assert "up" not in second.lists.known.due(asyncio.get_running_loop().time())
    elsewhere.lists.inherit(first.lists)
    assert not elsewhere.lists.known.models("up"), "another server's list is not this one's"
    await house.close()


async def test_prices_follow_the_configuration_that_answers(tmp_path):
    """The books, which outlive it, ask the same prices: what was found by the old rules is forgotten at the moment of change."""

    def priced(dollars):
        return keyed(yaml(1)) + f"pricing: {{models: {{'up/*': {{input: {dollars}}}}}}}\n"

    first = generation(tmp_path, priced(1))
    house = House(first)
    usage = Usage(input=1000, output=0)
    assert first.prices.price("up", "m", usage, 0).micros == 1000
    second = generation(tmp_path, priced(2), first)
    assert second.prices is first.prices
    assert first.prices.price("up", "m", usage, 0).micros == 1000
    house.take_over(second, lambda _gateway: None)
    assert first.prices.price("up", "m", usage, 0).micros == 2000
    await house.close()

"""Limits as a configuration describes them: where they are counted, and what goes on when it changes."""

import pytest

from gatewright.config import load_config
from gatewright.limiting import counters_of
from gatewright.stores.counters_redis import RedisCounters
from gatewright.stores.counters_shared import SharedCounters


def config_of(tmp_path, text: str = ""):
    file = tmp_path / "gatewright.yaml"
    file.write_text("providers: {demo: {}}\n" + text)
    return load_config(file, {"GATEWRIGHT_HOME": str(tmp_path / "state")})


async def test_nothing_is_made_before_something_is_limited(tmp_path):
    """A gateway without limits has no file of counters."""
    counters = counters_of(config_of(tmp_path))
    assert isinstance(counters, SharedCounters)
    assert not (tmp_path / "state" / "counters").exists()
    await counters.close()


async def test_counters_go_on_when_the_configuration_changes(tmp_path):
    """Unless they are elsewhere then; and what is let pass while they are down is as the new one says."""
    first = counters_of(config_of(tmp_path))
    assert counters_of(config_of(tmp_path, "limits: [{concurrent: 5}]\n"), first) is first
    shared = counters_of(config_of(tmp_path, "counters: redis://127.0.0.1:1/0\n"), first)
    assert isinstance(shared, RedisCounters)
    again = counters_of(config_of(tmp_path, "counters: {url: 'redis://127.0.0.1:1/0', rates: closed, deadline_ms: 7}\n"), shared)
    assert again is shared
    assert (again.open_when_down, again.deadline_s) == (frozenset(), pytest.approx(0.007))
    assert counters_of(config_of(tmp_path, "counters: redis://127.0.0.1:2/0\n"), shared) is not shared
    await shared.close()

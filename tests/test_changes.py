"""What a new configuration changes is told by name, and never by value."""

from pathlib import Path

import msgspec

from gatewright.changes import Named, changes
from gatewright.config import Config, load_config

BEFORE = """
server: {max_body_bytes: 5000}
providers:
  a: {kind: openai, api_key: file:secret}
  b: {kind: anthropic, api_key: sk-b}
  c: {kind: gemini, api_key: sk-c}
models:
  stays: {targets: [a/x]}
  moves: {targets: [a/x]}
aliases: {short: stays}
keys: [{name: one, key: gw-key-one}, {name: two, key: gw-key-two}]
"""
AFTER = """
server: {max_body_bytes: 6000, keepalive_s: 3}
providers:
  a: {kind: openai, api_key: file:secret}
  b: {kind: anthropic, api_key: sk-b, timeouts: {connect_s: 1}}
  d: {kind: gemini, api_key: sk-d}
models:
  stays: {targets: [a/x]}
  moves: {targets: [b/x]}
  new: {targets: [d/x]}
aliases: {short: moves}
keys: [{name: two, key: gw-key-rotated}, {name: one, key: gw-key-one}]
timeouts: {idle_s: 5}
"""


def read(tmp_path: Path, text: str) -> Config:
    (tmp_path / "gatewright.yaml").write_text(text)
    return load_config(tmp_path / "gatewright.yaml", {"GATEWRIGHT_HOME": str(tmp_path)})


def test_every_section_tells_what_came_what_changed_and_what_went(tmp_path):
    """Settings by their keys; the order of keys in a list is no change, the secret behind a reference is one."""
    (tmp_path / "secret").write_text("sk-before")
    before = read(tmp_path, BEFORE)
    (tmp_path / "secret").write_text("sk-after")
    found = changes(before, read(tmp_path, AFTER))
    # `a` reads another secret; every provider has the timeouts of all.
    assert found.providers == Named(added=("d",), changed=("a", "b"), removed=("c",))
    assert found.models == Named(added=("new",), changed=("moves",))
    assert found.aliases == Named(changed=("short",))
    assert found.keys == Named(changed=("two",))
    assert found.settings == ("server.max_body_bytes", "server.keepalive_s", "timeouts.idle_s")
    told = msgspec.json.encode(found)
    assert not any(secret in told for secret in (b"sk-", b"gw-key"))


def test_the_same_file_read_again_changes_nothing(tmp_path):
    """However often: nothing in a configuration differs by being read."""
    (tmp_path / "secret").write_text("sk-before")
    nothing = Named()
    found = changes(read(tmp_path, BEFORE), read(tmp_path, BEFORE))
    assert (found.providers, found.models, found.aliases, found.keys, found.settings) == (nothing, nothing, nothing, nothing, ())

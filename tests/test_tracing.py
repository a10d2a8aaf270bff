"""From the configuration to traces: what it holds that is secret, in whichever part of a setting, is in no trace that is kept."""

import json
from types import SimpleNamespace

import pytest

from gatewright import tracing
from gatewright.config import load_config
from gatewright.exchange import AttemptRecord
from gatewright.record.trace_capture import Finished, Pieces
from gatewright.stores.traces import open_traces
from gatewright.wire.http import Call
from tests.identity import certificate_pem
from tests.record.exchanged import exchanged

CONFIG = """
providers:
  up: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: key-of-no-known-form}
  entra: {kind: azure, base_url: "http://127.0.0.1:1/v1", auth: entra, tenant_id: t, client_id: c, certificate_file: app.pem}
  vertex: {kind: vertex, project: p, location: us-east1, auth: google, credentials_file: user.json}
keys: [{name: ci, key: key-of-a-client}]
database: postgresql://postgres:hunter%4022@db.internal.test:5432/test
counters: {url: "redis://:s3cretpass@cache.internal.test:6379/0"}
budgets: {webhook: "https://hooks.test/services/T01/B02/XyZ0123456789XyZ/"}
guards: {rules: [{name: asked, kind: webhook, action: block, url: "http://127.0.0.1:1/", api_key: key-of-a-guard}]}
traces: {enabled: true, index_share: 0}
"""
GOOGLE = {"type": "authorized_user", "client_id": "app.test", "client_secret": "of-the-app", "refresh_token": "1//0of-a-user"}
LINE = certificate_pem().splitlines()[-3]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """What is kept of an exchange in which client, upstream and gateway say a text: traced as configured, read from the store."""
    (tmp_path / "gatewright.yaml").write_text(CONFIG)
    (tmp_path / "app.pem").write_text(certificate_pem())
    (tmp_path / "user.json").write_text(json.dumps(GOOGLE, indent=1))
    config = load_config(tmp_path / "gatewright.yaml", {"GATEWRIGHT_HOME": str(tmp_path)})
    monkeypatch.setattr(tracing, "place_of", lambda _config: str(tmp_path))  # nobody listens at that database's address
    made = tracing.Tracing(config, {}, lambda *_: None)

    def through(text: str):
        made.stages(config, SimpleNamespace())
        failed = AttemptRecord("up/m", "openai_chat", 100.0, status=500, cause="server", message=text, ended=100.1)
        told = Pieces()
        told.add(json.dumps({"told": text}).encode())
        body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
        call = Call(path="/v1/messages", pairs=(("q", text),), headers={"x-said": text}, body=body)
        made.recording.take(
            Finished(
                exchange=exchanged(attempts=[failed]), call=call, status=200, problem=None, headers=b"", answer=told, ended=101.0
            )
        )
        made.close()
        store = open_traces(tmp_path)
        (trace,) = store.iterate()
        store.close()
        return trace

    yield through
    made.close()


@pytest.mark.parametrize(
    "secret",
    [
        "key-of-no-known-form", "key-of-a-client", "key-of-a-guard", "hunter%4022", "hunter@22", "s3cretpass", "XyZ0123456789XyZ",
        LINE, "of-the-app", "1//0of-a-user",
    ],
)  # fmt: skip
def test_a_part_of_a_setting_that_is_secret_alone_is_in_no_trace(kept, secret):
    """A database's password, a webhook's token, a line of a key: who quotes them need not quote the setting they are from."""
    trace = kept(f"before {secret} behind")
    assert trace.redacted >= 3
    assert secret not in repr(trace)
    assert b"before [redacted:secret] behind" in trace.request.body
    assert b"before [redacted:secret] behind" in trace.answer.body


def test_words_of_the_same_settings_stay_in_traces(kept):
    """Users, hosts, databases, schemes, and what is in every credentials file."""
    words = "postgresql://postgres@db.internal.test:5432/test cache.internal.test hooks.test/services authorized_user client_secret BEGIN"
    trace = kept(words)
    assert trace.redacted == 0
    assert words.encode() in trace.request.body

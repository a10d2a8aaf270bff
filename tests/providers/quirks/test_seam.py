"""Mending: what is not concerned costs nothing and keeps its bytes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.providers.catalog import HOSTS
from gatewright.providers.quirks import BY_NAME, QUIRKS, mendings
from gatewright.providers.quirks.seam import Mending
from gatewright.wire.json import BadJson

GROQ = BY_NAME["groq-parameters"]


def test_models_and_dialects_that_are_not_meant_have_no_mending():
    """So that a request for them is never even looked at."""
    effort = BY_NAME["xai-effort"]
    assert mendings([effort], ["openai_chat", "openai_responses"], "x-ai/grok-4-fast").keys() == {"openai_chat"}
    assert mendings([effort], ["openai_chat"], "grok-4.3") == {}
    assert mendings([BY_NAME["groq-usage"]], ["openai_chat"], "m") == {}


def test_what_is_not_touched_keeps_its_bytes():
    """Number spelling, escapes and the order of keys are the client's."""
    mending = Mending("openai_chat", [GROQ])
    raw = b'{"temperature": 1.0, "logprobs": true, "messages": [{"content": "\\u00e9"}], "x": 1e3}'
    mended, losses = mending.raw(raw)
    assert mended == b'{"temperature":1.0,"messages":[{"content": "\\u00e9"}],"x":1e3}'
    assert [loss.path for loss in losses] == ["logprobs"]


def test_a_body_that_is_not_concerned_is_the_same_object():
    """What lies deeper under the same name is another thing."""
    for raw in (b'{"temperature": 1.0}', b'{"messages": [{"n": 2, "logprobs": true}]}'):
        assert Mending("openai_chat", [GROQ]).raw(raw)[0] is raw
    raw = b'{"messages": [{"role": "user"}], "x": 1}'
    assert Mending("openai_chat", [BY_NAME["groq-messages"]]).raw(raw) == (raw, ())


def test_a_field_that_is_read_beside_is_no_reason_to_look():
    """And what is read beside is known when one is."""
    mending = Mending("openai_chat", [BY_NAME["max-tokens"]])
    raw = b'{"max_tokens": 5}'
    assert mending.raw(raw)[0] is raw
    assert mending.raw(b'{"max_tokens": 5, "max_completion_tokens": 6}')[0] == b'{"max_tokens":5}'


@pytest.mark.parametrize("raw", [b'["n"]', b'{"n": 1', b'{"n": 1, "messages": \xff}'])
def test_what_is_no_object_is_bad(raw):
    """Told to the client, not sent on."""
    with pytest.raises(BadJson):
        Mending("openai_chat", [GROQ]).raw(raw)


def test_odd_shapes_are_the_upstreams_to_refuse():
    """A mend touches what it knows and nothing else."""
    for name in ("mistral-call-ids", "mistral-messages", "groq-parameters", "developer-role", "no-cache-scope"):
        quirk = BY_NAME[name]
        for messages in (
            None,
            "x",
            1,
            [1, "x", None, {}],
            [{"role": 5, "tool_calls": 7, "tool_call_id": 8}],
            [{"tool_calls": [1]}],
        ):
            document = {"messages": messages, "system": 1, "tools": "x"}
            before = json.dumps(document)
            Mending(quirk.dialect, [quirk]).document(document, str)
            assert json.dumps(document) == before


def test_a_host_that_knows_a_list_of_fields_is_not_shown_into_the_others():
    """What is large stays as it is: its bytes are not even read."""
    mending = Mending("openai_chat", [BY_NAME["mistral-parameters"]])
    raw = b'{"messages": [{"x": 1e999}], "seed": 1, "zzz": 2}'  # no number that can be read
    mended, losses = mending.raw(raw)
    assert mended == b'{"messages":[{"x": 1e999}],"random_seed":1}'
    assert [loss.path for loss in losses] == ["zzz"]


def test_only_quirks_that_are_concerned_are_asked():
    """Messages are taken apart for those that are about messages, and only where they may be."""
    mending = mendings([BY_NAME[n] for n in ("mistral-parameters", "mistral-call-ids")], ["openai_chat"], "m")["openai_chat"]
    raw = b'{"messages": [{"x": 1e999}], "stream_options": {}}'
    assert mending.raw(raw)[0] == b'{"messages":[{"x": 1e999}]}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "none", "high", "developer", "assistant", "call_1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "name", "tool_calls", "tool_call_id", "id", "reasoning_content", "cache_control", "scope"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
KEYS = sorted({key for quirk in QUIRKS for key in quirk.keys | quirk.beside} | {"model", "user", "store", "zzz"})


@given(st.sampled_from([quirk for quirk in QUIRKS if quirk.mend]), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6))
@settings(max_examples=200, deadline=None)
def test_bytes_and_documents_are_mended_alike(quirk, document):
    """Whatever stands where; and what was mended has nothing left to mend."""
    mending = Mending(quirk.dialect, [quirk])
    raw, losses = mending.raw(json.dumps(document).encode())
    rendered = json.loads(json.dumps(document))
    told = mending.document(rendered, lambda field: field)
    assert json.loads(raw) == rendered
    assert losses == told
    assert mending.raw(raw) == (raw, ())


def test_nearly_all_models_of_nearly_all_hosts_pay_nothing():
    """A host that is called all day must not be slower for the oddities of another."""
    names = HOSTS["openai"].quirks
    assert mendings([BY_NAME[name] for name in names], ["openai_chat", "openai_responses"], "gpt-4o") == {}
    assert HOSTS["anthropic"].quirks == ()

"""Every quirk: its evidence, and what it does to a request."""

import json
import os
from pathlib import Path

import pytest

from gatewright.providers.catalog import CATALOG
from gatewright.providers.quirks import BETAS, BY_NAME, QUIRKS, mendings

ROOT = Path(__file__).resolve().parents[3]
RECORDINGS = Path(os.environ.get("GATEWRIGHT_RECORDINGS", Path(__file__).resolve().parents[3].parent / "shared" / "recordings"))

CASES = {
    "openai-limit": [
        ("gpt-5-mini", {"max_tokens": 5}, {"max_completion_tokens": 5}, []),
        ("o3", {"max_tokens": 5, "max_completion_tokens": 6}, {"max_completion_tokens": 6}, []),
        ("gpt-5.1", {"max_completion_tokens": 6}, {"max_completion_tokens": 6}, []),
    ],
    "openai-sampling": [
        ("gpt-5", {"temperature": 0, "top_p": 1}, {"top_p": 1}, [("temperature", "dropped")]),
        ("openai/o4-mini", {"temperature": 1.0, "logprobs": False}, {"temperature": 1.0, "logprobs": False}, []),
    ],
    "openai-sampling-beside-effort": [
        ("gpt-5.1", {"temperature": 0}, {"temperature": 0}, []),
        ("gpt-5.1", {"temperature": 0, "reasoning_effort": "none"}, {"temperature": 0, "reasoning_effort": "none"}, []),
        ("gpt-5.1", {"temperature": 0, "reasoning_effort": "low"}, {"reasoning_effort": "low"}, [("temperature", "dropped")]),
    ],
    "openai-sampling-in-responses": [("gpt-5-nano", {"top_p": 0.5}, {}, [("top_p", "dropped")])],
    "openai-sampling-beside-effort-in-responses": [
        ("gpt-5.2", {"top_p": 0.5, "reasoning": {"effort": "high"}}, {"reasoning": {"effort": "high"}}, [("top_p", "dropped")]),
        ("gpt-5.2", {"top_p": 0.5, "reasoning": {"summary": "auto"}}, {"top_p": 0.5, "reasoning": {"summary": "auto"}}, []),
    ],
    "max-tokens": [("m", {"max_completion_tokens": 5}, {"max_tokens": 5}, []), ("m", {"max_tokens": 5}, {"max_tokens": 5}, [])],
    "developer-role": [
        (
            "m",
            {"messages": [{"role": "developer", "content": "x"}, {"role": "user", "content": "developer"}]},
            {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "developer"}]},
            [],
        )
    ],
    "developer-role-in-responses": [
        ("m", {"input": [{"role": "developer", "content": "x"}]}, {"input": [{"role": "system", "content": "x"}]}, []),
        ("m", {"input": "developer"}, {"input": "developer"}, []),
    ],
    "reasoning-wanted-back": [
        (
            "deepseek-v4-pro",
            {"messages": [
                {"role": "assistant", "content": "a"},
                {"role": "assistant", "tool_calls": [{"id": "1"}], "reasoning_content": ""},
                {"role": "assistant", "tool_calls": [{"id": "2"}], "reasoning_content": "own"},
                {"role": "tool", "tool_call_id": "1"},
            ]},
            {"messages": [
                {"role": "assistant", "content": "a", "reasoning_content": " "},
                {"role": "assistant", "tool_calls": [{"id": "1"}], "reasoning_content": " "},
                {"role": "assistant", "tool_calls": [{"id": "2"}], "reasoning_content": "own"},
                {"role": "tool", "tool_call_id": "1"},
            ]},
            [("messages", "hint")],
        ),
        ("kimi-k2.6", {"messages": [{"role": "assistant", "content": "a"}]}, {"messages": [{"role": "assistant", "content": "a"}]}, []),
        (
            "kimi-k2.6",
            {"thinking": {"type": "disabled"}, "messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]},
            {"thinking": {"type": "disabled"}, "messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]},
            [],
        ),
    ],
    "mistral-parameters": [
        ("m", {"seed": 7, "stream_options": {"include_usage": True}}, {"random_seed": 7}, []),
        ("m", {"model": "m", "messages": [], "logit_bias": {"1": 2}}, {"model": "m", "messages": []}, [("logit_bias", "dropped")]),
        ("m", {"user": "u", "store": False}, {}, [("user", "hint"), ("store", "hint")]),
        ("m", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}, [("reasoning_effort", "approximated")]),
        ("m", {"reasoning_effort": "none"}, {"reasoning_effort": "none"}, []),
        ("m", {"reasoning_effort": "odd"}, {}, [("reasoning_effort", "dropped")]),
    ],
    "mistral-call-ids": [
        (
            "m",
            {"messages": [
                {"role": "assistant", "tool_calls": [{"id": "call_abc", "function": {}}, {"id": "ABCdef123"}]},
                {"role": "tool", "tool_call_id": "call_abc"},
                {"role": "tool", "tool_call_id": "ABCdef123"},
            ]},
            {"messages": [
                {"role": "assistant", "tool_calls": [{"id": "ZClYZGnrZ", "function": {}}, {"id": "ABCdef123"}]},
                {"role": "tool", "tool_call_id": "ZClYZGnrZ"},
                {"role": "tool", "tool_call_id": "ABCdef123"},
            ]},
            [],
        )
    ],
    "mistral-messages": [
        (
            "m",
            {"messages": [
                {"role": "developer", "content": "d"},
                {"role": "user", "content": "u", "name": "ann"},
                {"role": "assistant", "content": "a", "reasoning_content": "hm"},
                {"role": "tool", "content": "t", "name": "f"},
            ]},
            {"messages": [
                {"role": "system", "content": "d"},
                {"role": "user", "content": "u"},
                {"role": "assistant", "content": "a"},
                {"role": "tool", "content": "t", "name": "f"},
            ]},
            [("messages[2].reasoning_content", "hint"), ("messages[1].name", "hint")],
        )
    ],
    "groq-parameters": [
        ("m", {"logprobs": False, "n": 1, "seed": 1}, {"n": 1, "seed": 1}, [("logprobs", "hint")]),
        ("m", {"logprobs": True, "top_logprobs": 2, "n": 2}, {}, [("logprobs", "dropped"), ("top_logprobs", "dropped"), ("n", "dropped")]),
    ],
    "groq-messages": [
        (
            "m",
            {"messages": [{"role": "assistant", "reasoning": "own", "reasoning_content": "foreign"}]},
            {"messages": [{"role": "assistant", "reasoning": "own"}]},
            [("messages[0].reasoning_content", "hint")],
        ),
    ],
    "groq-effort": [
        ("openai/gpt-oss-20b", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}, []),
        ("openai/gpt-oss-20b", {"reasoning_effort": "xhigh"}, {"reasoning_effort": "high"}, [("reasoning_effort", "approximated")]),
        ("openai/gpt-oss-20b", {"reasoning_effort": "none"}, {}, [("reasoning_effort", "dropped")]),
    ],
    "groq-effort-of-qwen": [
        ("qwen/qwen3-32b", {"reasoning_effort": "low"}, {"reasoning_effort": "default"}, [("reasoning_effort", "approximated")]),
        ("qwen/qwen3-32b", {"reasoning_effort": "none"}, {"reasoning_effort": "none"}, []),
    ],
    "groq-no-effort": [("llama-3.3-70b-versatile", {"reasoning_effort": "low"}, {}, [("reasoning_effort", "dropped")])],
    "xai-sampling": [
        (
            "grok-4",
            {"presence_penalty": 0, "frequency_penalty": 1, "stop": ["x"]},
            {},
            [("presence_penalty", "hint"), ("frequency_penalty", "dropped"), ("stop", "dropped")],
        )
    ],
    "xai-effort": [("grok-code-fast-1", {"reasoning_effort": "low"}, {}, [("reasoning_effort", "dropped")])],
    "xai-effort-in-responses": [
        ("grok-4", {"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning": {"summary": "auto"}}, [("reasoning", "dropped")]),
        ("grok-4", {"reasoning": {"effort": "low"}}, {}, [("reasoning", "dropped")]),
        ("grok-4", {"reasoning": {"summary": "auto"}}, {"reasoning": {"summary": "auto"}}, []),
    ],
    "openrouter-keeps-nothing": [
        ("m", {"store": True, "input": "x"}, {"input": "x"}, [("store", "hint")]),
        ("m", {"store": False}, {"store": False}, []),
    ],
    "cerebras-parameters": [("m", {"logit_bias": {}, "seed": 1}, {"seed": 1}, [("logit_bias", "dropped")])],
    "cohere-parameters": [
        ("m", {"n": 1, "parallel_tool_calls": True}, {"n": 1}, [("parallel_tool_calls", "hint")]),
        ("m", {"modalities": ["audio"]}, {}, [("modalities", "dropped")]),
    ],
    "no-cache-scope": [
        (
            "claude-x",
            {
                "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "scope": "global"}}],
                "messages": [{"role": "user", "content": [{"type": "tool_result", "content": [
                    {"type": "text", "text": "scope", "cache_control": {"type": "ephemeral", "scope": "org", "ttl": "1h"}}]}]}],
                "tools": [{"name": "t", "input_schema": {"properties": {"scope": {}}}}],
            },
            {
                "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
                "messages": [{"role": "user", "content": [{"type": "tool_result", "content": [
                    {"type": "text", "text": "scope", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}]}],
                "tools": [{"name": "t", "input_schema": {"properties": {"scope": {}}}}],
            },
            [("cache_control.scope", "hint")],
        )
    ],
}  # fmt: skip
"""Quirk → (model, what would be sent, what is sent, what is told)."""

WRITTEN = {
    "betas-by-host": "tests/providers/quirks/test_betas.py",
    "schema-keywords": "tests/dialects/gemini/test_render_request.py",
}
"""Where the cases stand of quirks that are dealt with elsewhere."""

MENDED = [(name, *case) for name, cases in CASES.items() for case in cases]


def test_every_quirk_that_mends_has_a_case():
    """And nothing else stands in the table of cases."""
    assert set(CASES) == {quirk.name for quirk in QUIRKS if quirk.mend is not None}


@pytest.mark.parametrize(("name", "model", "before", "after", "told"), MENDED, ids=[f"{c[0]}-{i}" for i, c in enumerate(MENDED)])
def test_a_request_is_mended_and_every_loss_told(name, model, before, after, told):
    """The same for a client's own bytes and for a rendered document."""
    quirk = BY_NAME[name]
    mending = mendings([quirk], [quirk.dialect], model)[quirk.dialect]
    raw = json.dumps(before).encode()
    mended, losses = mending.raw(raw)
    assert json.loads(mended) == after
    assert [(loss.path, loss.weight) for loss in losses] == told
    assert before != after or mended is raw
    document = json.loads(raw)
    assert [(loss.path, loss.weight) for loss in mending.document(document, lambda field: field)] == told
    assert document == after


def test_names_are_unique_and_all_are_used():
    """A quirk that no host has is nobody's."""
    used = {name for host in CATALOG for name in host.quirks}
    assert len(BY_NAME) == len(QUIRKS)
    assert used == set(BY_NAME)


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.name)
def test_each_has_its_evidence(quirk):
    """A link, and a case: a recording that exists, or one written here."""
    assert quirk.link.startswith("https://")
    assert quirk.what.endswith(".")
    assert (quirk.mend is None) == bool(quirk.done_by)
    assert not quirk.done_by or (ROOT / quirk.done_by).is_file()
    if quirk.case != "written":
        if not RECORDINGS.is_dir():
            pytest.skip("no recorded traffic here: GATEWRIGHT_RECORDINGS")
        ids = {json.loads(line)["id"] for line in (RECORDINGS / "index.jsonl").read_text().splitlines()}
        assert quirk.case in ids
    elif quirk.mend is None:
        assert (ROOT / WRITTEN[quirk.name]).is_file()


def test_beta_tables_belong_to_hosts_that_say_so():
    """The row and the table agree."""
    assert set(BETAS) == {host.name for host in CATALOG if "betas-by-host" in host.quirks}

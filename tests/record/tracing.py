"""Traces to export: one as a gateway writes it, with everything there is to say."""

from gatewright.dialects import BY_NAME
from gatewright.guards.terms import Finding
from gatewright.ir.request import Asked
from gatewright.record.traces import Batch, Message, Trace, TracedAttempt, TracedLoss, UpstreamCall
from gatewright.stores.trace_document import Documents
from gatewright.wire.http import Call

ASKED = (
    b'{"model":"smart","max_tokens":64,"temperature":0.5,"stop":["END"],"messages":['
    b'{"role":"system","content":"Be brief."},{"role":"user","content":"Tides at Cobh?"}],'
    b'"tools":[{"type":"function","function":{"name":"tide_at","description":"Height.","parameters":{"type":"object"}}}]}'
)
ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1763700001,"model":"gpt-5-2026","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Looking.","tool_calls":[{"id":"call_1","type":"function",'
    b'"function":{"name":"tide_at","arguments":"{\\"harbour\\":\\"Cobh\\"}"}}]},"finish_reason":"tool_calls"}],'
    b'"usage":{"prompt_tokens":21,"completion_tokens":9,"total_tokens":30}}'
)
JSON = (("content-type", "application/json"),)
AT = 1_795_000_000_000_000


def message(body, headers=JSON):
    return Message(headers=headers, body=body, size=len(body))


def batch(*traces):
    """As the recording thread hands them on."""
    return Batch(traces, Documents(traces))


def trace(**changes):
    """A Chat client's request that a second target answered."""
    call = UpstreamCall(
        attempt=1,
        target="openai/gpt-5",
        dialect="openai_chat",
        path="/chat/completions",
        request=message(ASKED.replace(b'"smart"', b'"gpt-5"')),
        status=200,
        answer=message(ANSWER),
    )
    fields = {
        "id": "req_0001",
        "at": AT,
        "took_us": 1_500_000,
        "ttft_us": 700_000,
        "session": "run-7",
        "link": "header",
        "operation": "generate",
        "path": "/v1/chat/completions",
        "client_dialect": "openai_chat",
        "upstream_dialect": "openai_chat",
        "key_id": "k1",
        "key_name": "ci",
        "user": "ann",
        "team": "t1",
        "route": "smart",
        "asked": "smart",
        "provider": "openai",
        "model": "gpt-5",
        "status": 200,
        "outcome": "ok",
        "attempts": 2,
        "losses": 1,
        "findings": 1,
        "rules": ("no-cards",),
        "input": 21,
        "output": 9,
        "cost_micros": 116,
        "request": message(ASKED, (*JSON, ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))),
        "answer": message(ANSWER),
        "upstream": (call,),
        "tried": (
            TracedAttempt(target="azure/gpt-5", dialect="openai_chat", began_us=100, cause="open"),
            TracedAttempt(target="azure/gpt-5-eu", dialect="openai_chat", began_us=200, took_us=90_000, sent=True, status=503,
                          stage="answered", cause="overloaded", message="azure: overloaded"),
            TracedAttempt(target="openai/gpt-5", dialect="openai_chat", began_us=100_000, took_us=1_390_000, ttft_us=600_000,
                          sent=True, status=200, stage="content", cost_micros=116),
        ),
        "lost": (TracedLoss(path="top_k", weight="dropped", why="openai has no word for it"),),
        "found": (Finding(rule="no-cards", action="flag", kind="card", direction="request", path="messages[1].content"),),
        "usage": {"input": 21, "output": 9, "cache_read": 0},
        "metadata": {"stage": "night"},
    }  # fmt: skip
    return Trace(**{**fields, **changes})


def meaning(trace):
    """What the client's bytes of a whole, uncut trace mean."""
    dialect = BY_NAME[trace.client_dialect]
    call = Call(path=trace.path, body=trace.request.body)
    answer = None if trace.status >= 400 else dialect.parse_response(trace.answer.body, Asked())
    return dialect.parse_request(call), answer

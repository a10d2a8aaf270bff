"""`gatewright traces` over a real store: lists, conversations, searches, differences, cases and exports, for people and programs."""

import gzip
import json

import msgspec
import pytest
import zstandard
from tests.record.otlp_stand_in import Collector, attributes
from tests.record.tracing import ANSWER, AT, message, trace
from typer.testing import CliRunner

from gatewright.cli.administration import add_to
from gatewright.cli.commands import app
from gatewright.stores.traces import open_traces

if not any(group.name == "traces" for group in app.registered_groups):
    add_to(app)

OTHER_ANSWER = ANSWER.replace(b"Looking.", b"Let me see.").replace(b"Cobh\\", b"Cork\\")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command line, in a folder with a configuration whose state holds two traces."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("GATEWRIGHT_CONFIG", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "gatewright.yaml"
    config.write_text(f"server: {{state_dir: {tmp_path}/state}}\nproviders: {{demo: {{kind: demo}}}}\n")
    (tmp_path / "state").mkdir()
    store = open_traces(tmp_path / "state")
    store.write([
        trace(),
        trace(id="req_0002", at=AT + 60_000_000, model="gpt-6", asked="smart2", took_us=3_000_000, cost_micros=20_000,
              answer=message(OTHER_ANSWER), found=(), rules=(), findings=0, key_name="prod"),
        trace(id="req_0003", at=AT + 120_000_000, status=503, outcome="error", error="overloaded", problem="all targets failed",
              answer=message(b'{"error":{"message":"all targets failed"}}'), upstream=(), tried=()),
    ])  # fmt: skip
    store.close()

    def command(*words, code=0):
        result = CliRunner().invoke(app, [*words], catch_exceptions=False)
        assert result.exit_code == code, result.output + result.stderr
        return result

    return command


def ids(output):
    return [json.loads(line)["id"] for line in output.splitlines()]


def test_the_youngest_stand_first(run):
    """A list is what happened last; for programs each is a line."""
    assert ids(run("traces", "list", "--format", "jsonl").stdout) == ["req_0003", "req_0002", "req_0001"]
    whole = json.loads(run("traces", "list", "--format", "json", "--limit", "2").stdout)
    assert [item["id"] for item in whole["traces"]] == ["req_0003", "req_0002"]
    rest = run("traces", "list", "--format", "jsonl", "--cursor", whole["next"]).stdout
    assert ids(rest) == ["req_0001"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--key", "prod"), ["req_0002"]),
        (("--status", "5xx"), ["req_0003"]),
        (("--finding", "no-cards", "--outcome", "ok"), ["req_0001"]),
        (("--min-duration", "2s"), ["req_0002"]),
        (("--min-cost", "0.01"), ["req_0002"]),
        (("--model", "gpt-6*"), ["req_0002"]),
        (("--session", "run-7", "--outcome", "error"), ["req_0003"]),
        (("--until", "2026-11-18T11:07:00Z"), ["req_0001"]),
        (("--since", "2026-11-18T11:07:00Z", "--outcome", "ok"), ["req_0002"]),
    ],
)
def test_filters_say_which(run, options, expected):
    """As `TraceFilter` has them."""
    assert ids(run("traces", "list", "--format", "jsonl", *options).stdout) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--since", "yesterday"), "no time; expected 15m, 2h, 7d"),
        (("--min-cost", "much"), "no amount of dollars"),
        (("--min-duration", "5 parsecs"), "no duration"),
        (("--cursor", "nonsense"), "--cursor: expected what an earlier page ended with"),
    ],
)
def test_an_option_that_means_nothing_is_told(run, options, words):
    """What was expected and what came, with exit code 2."""
    assert words in run("traces", "list", *options, code=2).stderr


def test_a_list_for_people_tells_who_whom_and_what_it_cost(run):
    """One line each."""
    told = run("traces", "list").output
    line = next(line for line in told.splitlines() if "req_0001" in line)
    for word in ("ci", "smart", "openai/gpt-5", "21", "$0.000116", "1.50 s", "no-cards"):
        assert word in line


def test_show_is_a_conversation(run):
    """Who said what, the tools that were called with what, what it took, whom it was sent to, what was lost and found."""
    told = run("traces", "show", "req_0001").output
    expected = [
        "req_0001",
        "system",
        "Be brief.",
        "user",
        "Tides at Cobh?",
        "assistant · tool_call",
        "Looking.",
        "→ tide_at",
        "harbour: Cobh",
        "input 21 · output 9 · $0.000116 · 1.50 s, first content after 700 ms",
        "azure/gpt-5-eu",
        "503 overloaded",
        "top_k",
        "dropped: openai has no word for it",
        "no-cards (flag)",
    ]
    at = -1
    for words in expected:
        assert words in told[max(at, 0) :], f"{words!r} is not in\n{told}"
        at = told.index(words, max(at, 0))


def test_a_trace_cannot_write_to_the_terminal(run, tmp_path):
    """Escapes, bells and marks that turn writing around stand in what clients and models wrote; none of them is passed on."""
    store = open_traces(tmp_path / "state")
    evil = ANSWER.replace(b"Looking.", b"\\u001b]0;owned\\u0007\\u001b[2J\\u202egnp.exe").replace(b"tide_at", b"t\\u001b[31m")
    store.write([trace(id="req_evil", at=AT + 999_000_000, answer=message(evil), asked="m\x1b[31m", key_name="k\x1b[5m")])
    store.close()
    for words in (("show", "req_evil"), ("list",), ("diff", "req_0001", "req_evil")):
        told = run("traces", *words).output
        assert not set(told) & set("\x1b\x07\u202e"), words
        assert "owned" in told or words[0] == "list"


def test_raw_is_the_bytes_and_nothing_else(run):
    """To be piped into whatever reads them."""
    assert run("traces", "show", "req_0001", "--raw", "client-answer").stdout_bytes == ANSWER
    assert b'"gpt-5"' in run("traces", "show", "req_0001", "--raw", "upstream-request").stdout_bytes
    assert "has no upstream-answer" in run("traces", "show", "req_0003", "--raw", "upstream-answer", code=1).stderr


def test_what_is_not_there_is_said(run, tmp_path):
    """Where ids come from; where there is no store at all, how to have one."""
    assert "no trace req_9" in run("traces", "show", "req_9", code=1).stderr
    (tmp_path / "state" / "traces.db").unlink()
    assert "traces: {enabled: true}" in run("traces", "list", code=2).stderr


def test_a_difference_is_told_word_by_word_and_field_by_field(run):
    """The request is the same; texts differ in words, calls in arguments, figures in numbers."""
    told = json.loads(run("traces", "diff", "req_0001", "req_0002", "--format", "json").stdout)
    assert told["same"] is False
    assert told["asked"] == []
    assert next(piece for piece in told["text"] if piece["op"] != "same") == {"op": "changed", "a": "Looking", "b": "Let me see"}
    assert told["calls"][0]["changes"] == [{"path": "$.harbour", "op": "changed", "a": "Cobh", "b": "Cork"}]
    figures = {figure["name"]: (figure["a"], figure["b"]) for figure in told["figures"]}
    assert figures["cost"] == (116, 20_000)
    assert figures["whole answer"] == (1_500_000, 3_000_000)
    page = run("traces", "diff", "req_0001", "req_0002").output
    for words in ("Looking.", "Let me see.", '$.harbour: "Cobh"', '$.harbour: "Cork"', "$0.000116", "$0.02", "+100%"):
        assert words in page


def test_diff_can_be_asked_by_scripts(run):
    """`--exit-code`: 1 where they differ, 0 where both say the same."""
    run("traces", "diff", "req_0001", "req_0002", "--exit-code", code=1)
    assert "both say the same" in run("traces", "diff", "req_0001", "req_0001", "--exit-code").output


def test_a_trace_becomes_a_case_of_the_corpus(run, tmp_path):
    """In the folder of its dialect, under its own name; what is there already is not written over."""
    told = run("traces", "to-test", "req_0001", "--out", "corpus", "--note", "A call to a tool.")
    file = tmp_path / "corpus" / "openai_chat" / "trace_req_0001.json"
    assert str(file.relative_to(tmp_path)) in told.output
    case = json.loads(file.read_text())
    assert case["id"] == "trace_req_0001"
    assert case["api"] == "chat.completions"
    assert case["note"] == "A call to a tool."
    assert case["response"]["body"] == json.loads(ANSWER)
    assert "is there already" in run("traces", "to-test", "req_0001", "--out", "corpus", code=2).stderr
    assert "no provider was asked" in run("traces", "to-test", "req_0003", code=2).stderr


def test_search_tells_where_the_words_stand(run):
    """Nothing is in the index before somebody has read it: that is said, and is no failure."""
    told = run("traces", "search", "cobh", "--format", "json").stdout
    whole = json.loads(told)
    assert len(whole["traces"]) + whole["unread"] == 3


def test_an_export_is_one_trace_a_line(run):
    """The oldest first, with the conversation and the bodies of all four legs."""
    lines = [json.loads(line) for line in run("traces", "export").stdout.splitlines()]
    assert [line["id"] for line in lines] == ["req_0001", "req_0002", "req_0003"]
    first = lines[0]
    assert first["schema"] == 1
    assert first["at"] == "2026-11-18T11:06:40.000000Z"
    assert first["client"]["answer"]["json"] == json.loads(ANSWER)
    assert first["upstream"][0]["request"]["json"]["model"] == "gpt-5"
    assert first["conversation"]["messages"][1]["parts"] == [{"type": "text", "content": "Tides at Cobh?"}]
    assert first["tried"][1]["cause"] == "overloaded"
    assert first["found"][0]["rule"] == "no-cards"
    assert run("traces", "export", "req_0002").stdout.count("\n") == 1


def test_an_export_without_bodies_has_nothing_that_was_said(run):
    """`--no-bodies`: figures alone."""
    told = run("traces", "export", "--no-bodies").stdout
    assert told.count("\n") == 3
    for words in ("Tides", "Cobh", "Looking", "harbour", "Be brief"):
        assert words not in told


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("out.jsonl", lambda data: data),
        ("out.jsonl.gz", gzip.decompress),
        ("out.jsonl.zst", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    ],
)
def test_a_file_is_compressed_by_its_name(run, tmp_path, name, read):
    """And is there when all of it is: what is being written has another name."""
    assert "3 traces written" in run("traces", "export", "--out", name).stderr
    assert ids(read((tmp_path / name).read_bytes()).decode()) == ["req_0001", "req_0002", "req_0003"]
    assert not list(tmp_path.glob("*.part"))


def test_what_was_kept_can_be_sent_to_a_collector_afterwards(run):
    """`export --otlp`: every trace, with what was said unless it is not wanted."""
    with Collector() as collector:
        told = run("traces", "export", "--otlp", "--endpoint", collector.url)
        assert "3 traces sent" in told.stderr
        roots = [attributes(span.attributes) for span in collector.spans() if "gen_ai.operation.name" in str(span.attributes)]
        assert {root["gatewright.request_id"] for root in roots} == {"req_0001", "req_0002", "req_0003"}
        assert "Tides at Cobh?" in roots[0]["gen_ai.input.messages"]
        run("traces", "export", "req_0001", "--endpoint", collector.url, "--no-bodies")
        assert "Tides" not in str(collector.requests[-1][2])


def test_a_collector_that_is_not_there_is_told(run):
    """And one that is configured nowhere: what to say."""
    assert "127.0.0.1:9" in run("traces", "export", "--endpoint", "http://127.0.0.1:9", code=1).stderr
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in run("traces", "export", "--otlp", code=2).stderr


def test_every_field_of_a_trace_is_in_its_line(run):
    """What a trace has and an export has not would be lost to whoever keeps exports alone."""
    told = set(json.loads(run("traces", "export", "req_0001").stdout))
    renamed = {
        "link": "session_link",
        "key_name": "key",
        "rules": "guards",
        "input": "input_tokens",
        "output": "output_tokens",
        "query": "client",
        "request": "client",
        "answer": "client",
        "size": "client",
    }
    fields = {renamed.get(name, name) for name in type(trace()).__struct_fields__}
    assert fields <= told, fields - told
    assert msgspec.json.decode(run("traces", "show", "req_0001", "--format", "json").stdout)["id"] == "req_0001"

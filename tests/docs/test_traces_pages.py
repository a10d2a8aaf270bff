"""What the pages about traces say of exports is what exports say, and their commands exist."""

import re
from pathlib import Path

from gatewright.record.export_jsonl import document
from gatewright.record.otlp_attributes import usage_attributes
from gatewright.record.otlp_spans import SpanTerms, spans_of
from tests.record.tracing import meaning, trace

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "traces-jsonl.md").read_text(encoding="utf-8")
HOW_TO = (ROOT / "docs" / "how-to" / "traces.md").read_text(encoding="utf-8")
SAID = set(re.findall(r"`([\w.*]+)`", PAGE))
SOURCES = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "src/gatewright/record").glob("otlp_*.py"))


def test_every_field_of_a_line_is_explained():
    """A field that nobody can look up is a field that nobody uses rightly."""
    told = document(trace(), *meaning(trace()))
    assert set(told) <= SAID, set(told) - SAID


def test_every_attribute_of_a_span_is_explained():
    """Of the request, of attempts and of events; `*` for names that operators choose."""
    usage = dict.fromkeys(("input", "output", "cache_read", "cache_write_5m", "reasoning", "audio_in", "audio_out"), 1)
    told = trace(usage=usage, stream=True, outcome="error", error="upstream", parent="req_0", cache="miss", organization="acme")
    spans = spans_of(told, *meaning(trace()), SpanTerms(content=True, langfuse=True))
    names = {name for span in spans for name in span.attributes} | set(usage_attributes(usage))
    names |= {name for span in spans for event in span.events for name in (event.name, *event.attributes)}
    written = set(re.findall(r'"((?:gen_ai|gatewright|langfuse)\.[a-z_.]+)"', SOURCES))
    for name in names | written:
        family = re.sub(r"(metadata)\..*", r"\1.*", name)
        assert family in SAID, f"{name} is in no table of docs/traces-jsonl.md"


def test_what_the_pages_explain_is_there():
    """And nothing else: an attribute that is gone leaves its row, too."""
    for name in SAID:
        if name.startswith(("gen_ai.", "gatewright.", "langfuse.")) and not name.endswith("."):
            assert name.removesuffix(".*") in SOURCES, f"{name} is explained, and nobody sends it"


def test_every_option_of_the_how_to_exists():
    """Commands of a page that were renamed are worse than none."""
    sources = "".join((ROOT / "src/gatewright/cli" / name).read_text(encoding="utf-8") for name in ("traces.py", "replay.py"))
    for option in set(re.findall(r"--([a-z][a-z-]+)", HOW_TO)) - {"case"}:
        plain = option.removeprefix("no-").replace("-", "_")
        assert f'"--{option}"' in sources or re.search(rf"\b{plain}: ", sources) or f"no-{plain}" in sources, option

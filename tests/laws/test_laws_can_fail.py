"""A law that cannot be broken guards nothing: dialects that lie are found out."""

from pathlib import Path

import msgspec
import pytest

from gatewright.ir.events import TextDelta
from tests.laws import cases, laws, seen
from tests.laws.dialects import DIALECTS

replace = msgspec.structs.replace


class Lying:
    """A dialect that is honest but for what a subclass overrides."""

    def __init__(self, honest):
        self.honest = honest

    def __getattr__(self, name):
        return getattr(self.honest, name)


def _see(dialect: str, *, stream: bool, feature: str = "") -> seen.Seen:
    """The first corpus case of the dialect with such an answer."""
    for place, path in cases.files():
        case = cases.load(place, path)
        fits = case.dialect == dialect and not case.failed and (case.text is not None) == stream and case.request is not None
        if place == "corpus" and fits and (not feature or feature in case.features):
            return seen.see.__wrapped__(place, Path(path))
    pytest.fail(f"the corpus has no such case: {dialect} {feature}")


def test_a_field_dropped_at_home_is_found(monkeypatch):
    """Law 1 reads every field of the document."""

    class Drops(Lying):
        def render_request(self, request, target):
            rendered = self.honest.render_request(request, target)
            return replace(rendered, body={k: v for k, v in rendered.body.items() if k != "messages"})

    monkeypatch.setitem(DIALECTS, "anthropic", Drops(DIALECTS["anthropic"]))
    assert any("messages is missing" in v.what for v in laws.law_1(_see("anthropic", stream=False)))


def test_a_parser_that_depends_on_the_chunking_is_found(monkeypatch):
    """Law 3 feeds the same bytes in other pieces."""

    class Parser(Lying):
        def feed(self, data):
            return self.honest.feed(data.replace(b"\r", b"!"))

    class Naive(Lying):
        def stream_parser(self, asked):
            return Parser(self.honest.stream_parser(asked))

    monkeypatch.setitem(DIALECTS, "anthropic", Naive(DIALECTS["anthropic"]))
    assert any("CRLF" in v.what for v in laws.law_3(_see("anthropic", stream=True)))


def test_text_lost_between_dialects_is_found(monkeypatch):
    """Law 4 reads what the client was shown."""

    class Renderer(Lying):
        def render(self, events):
            return self.honest.render([e for e in events if not isinstance(e, TextDelta)])

    class Mute(Lying):
        def stream_renderer(self, request):
            return Renderer(self.honest.stream_renderer(request))

    monkeypatch.setitem(DIALECTS, "gemini", Mute(DIALECTS["gemini"]))
    assert any(v.pair == "anthropic→gemini" and "text differs" in v.what for v in laws.law_4(_see("anthropic", stream=True)))


def test_a_silent_loss_is_found(monkeypatch):
    """Law 5 deletes each field: a renderer that keeps its losses to itself is heard."""

    class Silent(Lying):
        def render_request(self, request, target):
            rendered = self.honest.render_request(request, target)
            return replace(rendered, body={k: v for k, v in rendered.body.items() if k != "messages"}, losses=())

    monkeypatch.setitem(DIALECTS, "openai_chat", Silent(DIALECTS["openai_chat"]))
    assert any("content" in v.what for v in laws.law_5(_see("anthropic", stream=False)) if v.pair == "anthropic→openai_chat")


def test_a_seal_broken_on_its_way_is_found(monkeypatch):
    """Law 6 compares what comes back with what went out."""

    class Careless(Lying):
        def render_response(self, response, request):
            blocks = tuple(replace(b, seal=None) if getattr(b, "seal", None) else b for b in response.blocks)
            return self.honest.render_response(replace(response, blocks=blocks), request)

    monkeypatch.setitem(DIALECTS, "openai_chat", Careless(DIALECTS["openai_chat"]))
    assert any(v.pair == "anthropic→openai_chat" for v in laws.law_6(_see("anthropic", stream=False, feature="signature")))


def test_a_field_the_sdk_does_not_know_is_found(monkeypatch):
    """Law 7 lets no invented field through."""

    class Inventive(Lying):
        def render_response(self, response, request):
            rendered = self.honest.render_response(response, request)
            return replace(rendered, body={**rendered.body, "sparkle": 1})

    monkeypatch.setitem(DIALECTS, "openai_chat", Inventive(DIALECTS["openai_chat"]))
    assert any("sparkle" in v.what for v in laws.law_7(_see("anthropic", stream=False)))


def test_a_changed_status_is_found(monkeypatch):
    """An upstream's 429 may not become a 500."""

    class Blunt(Lying):
        def render_error(self, problem, request_id):
            return replace(self.honest.render_error(problem, request_id), status=500)

    monkeypatch.setitem(DIALECTS, "openai_chat", Blunt(DIALECTS["openai_chat"]))
    place, path = next((p, f) for p, f in cases.files() if cases.load(p, f).failed and cases.load(p, f).dialect == "anthropic")
    assert any("became 500" in v.what for v in laws.law_errors(seen.see.__wrapped__(place, path)))

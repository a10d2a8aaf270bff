"""A law that cannot be broken guards nothing: dialects that lie are found out."""

from pathlib import Path

import msgspec
import pytest

from gatewright.dialects.protocol import Peek
from gatewright.ir.events import TextDelta
from gatewright.wire.http import Call
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


def test_an_answer_that_a_stream_cannot_tell_is_found(monkeypatch):
    """Law 2 folds what was unfolded: text lost between the two is missed, and so is an event out of place."""
    honest = laws.unfold
    answer = _see("anthropic", stream=False)
    monkeypatch.setattr(laws, "unfold", lambda response: [e for e in honest(response) if not isinstance(e, TextDelta)])
    assert any(v.law == "2" and "text" in v.what for v in laws.violations(answer, "2"))
    monkeypatch.setattr(laws, "unfold", lambda response: honest(response)[1:])
    assert any(v.law == "2" and "raised" in v.what for v in laws.violations(answer, "2"))


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


def test_a_default_said_aloud_is_silent_but_for_the_tolerant(tmp_path):
    """What would stand there anyway is found where a case is judged as all are; the tolerant let pass only what is read."""
    document = msgspec.json.decode(_see("openai_chat", stream=False).case.file.read_bytes())
    document["id"] = "aloud"  # by which the generation of models is chosen, and with it what they are sent
    document["request"]["json"] = {"model": "m", "max_tokens": 32_000, "messages": [{"role": "user", "content": "hi"}]}
    file = tmp_path / "aloud.json"
    file.write_bytes(msgspec.json.encode(document))
    aloud = seen.look(cases.load("corpus", file))
    assert [(v.pair, v.what) for v in laws.violations(aloud, "5")] == [
        ("openai_chat→anthropic", "request max_tokens vanishes in silence")
    ]
    assert laws.violations(aloud, "5", tolerant=True) == []


def test_what_is_never_read_is_found_by_the_tolerant_too(monkeypatch):
    """Another value there changes nothing either."""

    class Deaf(Lying):
        def render_request(self, request, target):
            return replace(self.honest.render_request(request, target), body={}, losses=())

    monkeypatch.setitem(DIALECTS, "openai_chat", Deaf(DIALECTS["openai_chat"]))
    found = laws.violations(_see("anthropic", stream=False), "5", tolerant=True)
    assert any(v.pair == "anthropic→openai_chat" and "content" in v.what for v in found)


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


class Watcher(Lying):
    """Passes all but carriage returns and the last byte, and sees nothing."""

    usage = problem = None
    content = finished = False

    def feed(self, data):
        return self.honest.feed(data)[:-1]


WATCHED = ("bytes, not", "usage", "the end was not seen", "content was not seen")


@pytest.mark.parametrize("complaint", WATCHED)
def test_a_watch_that_touches_what_passes_or_misses_what_it_tells_is_found(monkeypatch, complaint):
    """Law P compares the bytes that pass, and what the watch saw with what a translation would have."""

    class Blind(Lying):
        def watch(self, call):
            return Watcher(self.honest.watch(call))

    assert laws.law_passing(_see("anthropic", stream=True)) == []
    monkeypatch.setitem(DIALECTS, "anthropic", Blind(DIALECTS["anthropic"]))
    assert any(v.law == "P" and complaint in v.what for v in laws.law_passing(_see("anthropic", stream=True)))


def test_a_usage_that_is_not_read_from_a_passing_answer_is_found(monkeypatch):
    """Law P, for answers that are not streamed."""

    class Unread(Lying):
        def read_usage(self, body):
            return None

    monkeypatch.setitem(DIALECTS, "anthropic", Unread(DIALECTS["anthropic"]))
    assert any("read_usage" in v.what for v in laws.law_passing(_see("anthropic", stream=False)))


@pytest.mark.parametrize(
    ("lie", "complaint"),
    [
        ({"pass_edits": lambda call, target: {"messages": None}}, "pass_edits"),
        ({"pass_path": lambda call, target: "messages"}, "pass_path"),
        ({"peek": lambda call: Peek(model="another", stream=False)}, "peek"),
    ],
    ids=["edits", "path", "peek"],
)
def test_a_passing_request_that_is_bent_is_found(monkeypatch, lie, complaint):
    """Law P, on the way to the upstream."""
    bent = Lying(DIALECTS["anthropic"])
    vars(bent).update(lie)
    monkeypatch.setitem(DIALECTS, "anthropic", bent)
    assert any(complaint in v.what for v in laws.law_passing(_see("anthropic", stream=False)))


@pytest.mark.parametrize("method", ["parse_request", "render_request", "parse_response", "render_response"])
def test_a_dialect_that_falls_over_strange_values_is_found(monkeypatch, method):
    """Law R gives each field values of other types; only the gateway's own exceptions may come of them."""
    honest = DIALECTS["anthropic"]

    def brittle(*given):
        told = repr([value.body if isinstance(value, Call) else value for value in given])
        if "strange" in told:
            raise KeyError("a word that it did not expect")
        return getattr(honest, method)(*given)

    side = "request" if method.endswith("request") else "answer"
    feature = "tools" if side == "request" else ""
    assert laws.law_robust(_see("anthropic", stream=False, feature=feature)) == []
    lying = Lying(honest)
    vars(lying)[method] = brittle
    monkeypatch.setitem(DIALECTS, "anthropic", lying)
    found = laws.law_robust(_see("anthropic", stream=False, feature=feature))
    assert any(v.law == "R" and v.what.startswith(side) and "KeyError" in v.what for v in found)


def test_a_stream_that_makes_a_parser_fall_over_or_stammer_is_found(monkeypatch):
    """Law R, for streams: neither another exception nor events out of order."""

    class Brittle(Lying):
        def feed(self, data):
            if b"strange" in data:
                raise KeyError("a word that it did not expect")
            return self.honest.feed(data)

    class Stammering(Lying):
        def close(self):
            return self.honest.close() * 2 + [TextDelta(0, "once more")]

    for parser, complaint in ((Brittle, "KeyError"), (Stammering, "AssertionError")):

        class Careless(Lying):
            def stream_parser(self, asked, parser=parser):
                return parser(self.honest.stream_parser(asked))

        with monkeypatch.context() as patch:
            patch.setitem(DIALECTS, "anthropic", Careless(DIALECTS["anthropic"]))
            assert any(
                v.what.startswith("stream") and complaint in v.what for v in laws.law_robust(_see("anthropic", stream=True))
            )

"""What must hold for every mutant, whatever it is: who may raise what, which events may come, what is written.

One rule: nothing here knows how a mutant was made; what a wire must not claim is told by the caller (`clean_from`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random

from gatewright.dialects.protocol import Dialect
from gatewright.errors import MAX_REFUSAL, GatewrightError, Problem, Refused, UpstreamFailed
from gatewright.exchange import Exchange
from gatewright.ir.blocks import DialectName
from gatewright.ir.events import Grammar, MessageStop, StreamError, StreamEvent
from gatewright.ir.fold import Folder, unfold
from gatewright.ir.loss import loss_header
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Response
from gatewright.pipeline.attempt import error_reply
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.seals import SealWatch, has_seals, name_call, name_calls, sealed_rows, unsealed_calls, without_seals
from gatewright.pipeline.translate import prepare
from gatewright.transport.demo import DemoTransport
from gatewright.wire import eventstream
from gatewright.wire import json as wire_json
from gatewright.wire.http import Call
from gatewright.wire.sse import MAX_EVENT_BYTES, SseParser
from tests.fuzz.streams import are_frames, is_array
from tests.laws import cases
from tests.laws.dialects import DIALECTS
from tests.passing import watched

REQUEST_ID = "req_0123456789ab0000000001"
ASKED = Asked(issuer="up", model="m")


class Fault(Exception):
    """A promise that a mutant broke."""


def must(holds: object, what: str) -> None:
    if not holds:
        raise Fault(what)


@lru_cache
def candidate(name: DialectName) -> Candidate:
    endpoint = Endpoint(
        name="up",
        dialects=(name,),
        transports={name: DemoTransport(DIALECTS)},
        base_paths={name: "/v1"},
        auth={name: "none"},
        secret="",
    )
    return Candidate(endpoint, "m", max_tokens=1000)


@lru_cache
def askers() -> tuple[Request, ...]:
    """Clients that read streams: each dialect's, with and without what it may ask for besides."""
    found = [DIALECTS[name].parse_request(cases.minimal_call(name, stream=True)) for name in DIALECTS]
    gemini = cases.gemini_path("m", stream=True).partition("?")[0]
    found.append(DIALECTS["gemini"].parse_request(cases.call_of("gemini", cases.minimal_body("gemini"), path=gemini)))
    chat = {**cases.minimal_body("openai_chat"), "stream": True}
    found.append(DIALECTS["openai_chat"].parse_request(cases.call_of("openai_chat", chat)))
    return tuple(found)


# ------------------------------------------------------------------------------------------------ requests


def request_holds(name: DialectName, call: Call) -> str:
    """Judges a request; tells what became of it."""
    dialect = DIALECTS[name]
    peeked = True
    try:
        dialect.peek(call)
    except Refused as refused:
        peeked = False
        problem_holds(refused.problem, name)
    dialect.read_usage(call.body)
    dialect.watch(call)
    request = None
    try:
        request = dialect.parse_request(call)
    except Refused as refused:
        problem_holds(refused.problem, name)
        must(len(refused.problem.message) <= MAX_REFUSAL + 1, f"a refusal of {len(refused.problem.message)} characters")
        must(refused.problem.http_status < 500, f"a bad request became status {refused.problem.http_status}")
    for target in DIALECTS:
        if peeked:
            _prepared_holds(name, target, call)
    if request is None:
        return "refused"
    has_seals(without_seals(request))
    unsealed_calls(request)
    return "read"


def _prepared_holds(name: DialectName, target: DialectName, call: Call) -> None:
    exchange = Exchange(request_id=REQUEST_ID, dialect=name, operation="generate", method="POST", call=call, started=0.0)
    try:
        prepared = prepare(exchange, candidate(target), DIALECTS)
    except Refused as refused:
        problem_holds(refused.problem, name)
        return
    loss_header(prepared.losses).encode("ascii")
    if not prepared.passing:
        must(isinstance(wire_json.decode(prepared.body), dict), "the rendered request is not an object")


def problem_holds(problem: Problem, origin: DialectName) -> None:
    """A problem can be told to every client, before and inside a stream."""
    must(problem.message, "a problem without a word")
    for name, dialect in DIALECTS.items():
        reply = error_reply(dialect, problem, REQUEST_ID)
        must(400 <= reply.status <= 599, f"{name}: error status {reply.status}")
        document = wire_json.decode(reply.body)
        must(isinstance(document, dict) or problem.origin == name, f"{name}: the error is not an object")
        wire = dialect.render_stream_error(problem, REQUEST_ID)
        _wire_holds(wire)
        parser = dialect.stream_parser(ASKED)
        told = [*parser.feed(wire), *parser.close()]
        must(told and isinstance(told[-1], StreamError), f"{name}: its own error event is not read as an error")


# ------------------------------------------------------------------------------------------- whole answers


def answer_holds(name: DialectName, body: bytes) -> str:
    """Judges a whole answer with status 200."""
    dialect = DIALECTS[name]
    dialect.read_usage(body)
    try:
        answer = dialect.parse_response(body, ASKED)
    except GatewrightError as failed:
        problem_holds(failed.problem, name)
        return "refused" if isinstance(failed, UpstreamFailed) else "malformed"
    answer = name_calls(answer, REQUEST_ID)
    sealed_rows(answer.blocks)
    events = unfold(answer)
    _in_grammar(events)
    for asker in askers():
        client = DIALECTS[asker.origin]
        rendered = client.render_response(answer, asker)
        again = wire_json.encode(rendered.body)
        loss_header(rendered.losses).encode("ascii")
        _readable(client, again)
        _stream_holds(asker, events, [events])
    return "read"


def _readable(client: Dialect, body: bytes) -> None:
    try:
        client.parse_response(body, ASKED)
    except UpstreamFailed:
        return  # an answer that says that it failed
    except GatewrightError as failed:
        raise Fault(f"{client.name} does not read its own rendering: {failed.problem.message[:150]}") from failed


def error_holds(name: DialectName, status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Judges an answer with a status of 400 or more."""
    problem = DIALECTS[name].parse_error(status, headers, body)
    must(problem.http_status == status, f"status {status} became {problem.http_status}")
    problem_holds(problem, name)
    return problem.kind


# ------------------------------------------------------------------------------------------------- streams


def stream_holds(name: DialectName, chunks: Sequence[bytes], clean_from: int, random: Random) -> str:
    """Judges a stream. A wire shorter than `clean_from` bytes was cut before it could tell its end."""
    dialect = DIALECTS[name]
    wire = b"".join(chunks)
    batches = _parsed(dialect, chunks)
    events = [event for batch in batches for event in batch]
    must(events, "no event at all")
    state = _in_grammar(events)
    must(state == "end", f"the stream ends in state {state}")
    if len(wire) < clean_from:
        must(isinstance(events[-1], StreamError), "a cut stream ended cleanly")
    if len(chunks) > 1 and len(wire) < MAX_EVENT_BYTES:  # beyond it, how much a chunk brings at once tells what is still read
        _same_however_cut(dialect, wire, events)
    folder = Folder()
    seals = SealWatch()
    for event in events:
        folder.add(event)
        seals.add(name_call(event, REQUEST_ID))
    seals.rows()
    for asker in askers():
        _stream_holds(asker, events, batches)
    if folder.start is not None and folder.problem is None:
        _whole_of_a_stream(folder.response)
    _watched(dialect, name, chunks, wire, clean_from)
    last = events[-1]
    return "stopped" if isinstance(last, MessageStop) else "error"


def _parsed(dialect: Dialect, chunks: Sequence[bytes]) -> list[list[StreamEvent]]:
    parser = dialect.stream_parser(ASKED)
    batches = [parser.feed(chunk) for chunk in chunks]
    batches.append(parser.close())
    return [batch for batch in batches if batch]


def _same_however_cut(dialect: Dialect, wire: bytes, events: list[StreamEvent]) -> None:
    at_once = [event for batch in _parsed(dialect, [wire]) for event in batch]
    if at_once != events:
        at = next((i for i, (a, b) in enumerate(zip(at_once, events, strict=False)) if a != b), min(len(at_once), len(events)))
        raise Fault(f"other chunks, other events: from event {at} of {len(at_once)} and {len(events)}")


def _whole_of_a_stream(answer: Response) -> None:
    """A client that asked for no stream gets what the stream told."""
    for asker in askers():
        wire_json.encode(DIALECTS[asker.origin].render_response(answer, asker).body)


def _in_grammar(events: Sequence[StreamEvent]) -> str:
    grammar = Grammar()
    for event in events:
        try:
            grammar.check(event)
        except AssertionError as broken:
            raise Fault(f"grammar: {broken}") from None
    return grammar.state


def _stream_holds(asker: Request, events: Sequence[StreamEvent], batches: Sequence[Sequence[StreamEvent]]) -> None:
    client = DIALECTS[asker.origin]
    renderer = client.stream_renderer(asker)
    wire = b"".join(renderer.render(batch) for batch in batches)
    _wire_holds(wire)
    loss_header(renderer.losses).encode("ascii")
    parser = client.stream_parser(ASKED)
    again = [*parser.feed(wire), *parser.close()]
    must(again, f"{client.name} renders nothing")
    _in_grammar(again)
    failed = isinstance(events[-1], StreamError)
    must(isinstance(again[-1], StreamError) == failed or not failed, f"{client.name} tells an error as a clean stop")


def _wire_holds(wire: bytes) -> None:
    if are_frames(wire):
        decoder = eventstream.Decoder()
        for message in decoder.feed(wire):
            must(isinstance(wire_json.decode(message.payload), dict | list), "a frame is not a document")
        decoder.close()
        return
    wire.decode("utf-8")
    if is_array(wire):
        must(isinstance(wire_json.decode(wire), list | dict), "the array is not JSON")
        return
    parser = SseParser()
    for _, data in (*parser.feed(wire), *parser.close()):
        if data != b"[DONE]":
            must(isinstance(wire_json.decode(data), dict | list), "an event is not a document")


def _watched(dialect: Dialect, name: DialectName, chunks: Sequence[bytes], wire: bytes, clean_from: int) -> None:
    """Bytes that pass are not touched, and no cut passes for an end."""
    call = cases.minimal_call(name, stream=True)
    if name == "gemini" and is_array(wire):
        call = Call(path=call.path, body=call.body)
    watch = dialect.watch(call)
    out = watched(watch, chunks, sse=not are_frames(wire) and not (name == "gemini" and is_array(wire)))
    must(out == wire, "bytes that pass were changed")
    _ = watch.usage
    if len(wire) < clean_from:
        must(not watch.finished or watch.problem is not None, "the watch took a cut for an end")
    if watch.problem is not None:
        problem_holds(watch.problem, name)


def signature(error: BaseException) -> str:
    """Where in the project it was raised, and what: equal faults have equal signatures."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/gatewright/" in code.co_filename and "/tests/" not in code.co_filename:
            place = f"{code.co_filename.rpartition('/gatewright/')[2]}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next
    words = str(error).split("\n")[0][:160]
    return f"{type(error).__name__} at {place or 'the oracle'}: {words}"


Judge = Callable[[], str]

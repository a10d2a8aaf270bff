"""What a trace's bytes mean: the client's request and the answer that it was given, in the neutral form.

One rule: it never fails. What is not there, was cut or cannot be read is said in `notes`; where the client's leg cannot be read
(Bedrock's InvokeModel wraps it), the upstream's is.
"""

import msgspec

from gatewright.dialects import BY_NAME
from gatewright.dialects.protocol import Dialect
from gatewright.errors import GatewrightError
from gatewright.invariant.choices import other_choices
from gatewright.ir.events import MessageStart
from gatewright.ir.fold import Folder
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Response
from gatewright.record.traces import Message, Trace
from gatewright.wire.http import Call
from gatewright.wire.json import BadJson


class Meaning(msgspec.Struct, frozen=True):
    request: Request | None = None
    answer: Response | None = None
    notes: tuple[str, ...] = ()


NOTHING = Meaning()


def meaning_of(trace: Trace) -> Meaning:
    if trace.operation not in ("generate", "invoke"):
        return NOTHING
    notes: list[str] = []
    if trace.operation == "invoke":
        call = trace.served
        if call is None:
            return Meaning(notes=("what was invoked cannot be read: nobody was asked",))
        dialect = BY_NAME[call.dialect]
        request = _request(dialect, call.path, {}, call.request, notes)
        answer = None if call.answer is None else _answer(dialect, call.status, call.answer, notes)
        return Meaning(request, answer, tuple(notes))
    dialect = BY_NAME[trace.client_dialect]
    request = _request(dialect, trace.path, dict(trace.query), trace.request, notes)
    return Meaning(request, _answer(dialect, trace.status, trace.answer, notes), tuple(notes))


def both(trace: Trace) -> tuple[Request | None, Response | None]:
    """As sinks want it."""
    meaning = meaning_of(trace)
    return meaning.request, meaning.answer


def _request(dialect: Dialect, path: str, query: dict[str, str], message: Message, notes: list[str]) -> Request | None:
    if message.is_cut:
        notes.append(f"of the request {len(message.body):,} of {message.size:,} bytes were kept: it cannot be read")
        return None
    try:
        return dialect.parse_request(Call(path=path, query=query, headers=dict(message.headers), body=message.body))
    except (GatewrightError, BadJson) as error:
        notes.append(f"the request cannot be read: {error}")
    except Exception as error:  # noqa: BLE001 - a trace may be of another version of this program
        notes.append(f"the request cannot be read: {type(error).__name__}")
    return None


def _answer(dialect: Dialect, status: int, message: Message, notes: list[str]) -> Response | None:
    if status >= 400 and status != 499:
        return None
    if not message.body:
        return None
    kind = next((value for name, value in message.headers if name == "content-type"), "").partition(";")[0].strip().lower()
    if message.is_cut:
        notes.append(f"of the answer {len(message.body):,} of {message.size:,} bytes were kept")
    try:
        # A whole answer's type may be written by the server alone, after what is traced; an array is Gemini's stream.
        if kind in ("application/json", "") and message.body.lstrip()[:1] == b"{":
            return None if message.is_cut else dialect.parse_response(message.body, Asked())
        return _streamed(dialect, message, notes)
    except (GatewrightError, BadJson) as error:
        notes.append(f"the answer cannot be read: {error}")
    except Exception as error:  # noqa: BLE001 - as above
        notes.append(f"the answer cannot be read: {type(error).__name__}")
    return None


def _streamed(dialect: Dialect, message: Message, notes: list[str]) -> Response | None:
    """What came before an error or a cut is told, too, and every choice."""
    parser = dialect.stream_parser(Asked())
    folder = Folder()
    events = [*parser.feed(message.body), *parser.close()]
    for event in events:
        folder.add(event)
    if folder.problem is not None and not message.is_cut:
        notes.append(f"the answer broke off: {folder.problem.message}")
    if not isinstance(folder.start, MessageStart):
        return None
    told = folder.response
    return msgspec.structs.replace(told, others=(*told.others, *other_choices(events)))

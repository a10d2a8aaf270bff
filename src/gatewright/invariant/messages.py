"""A conversation in Invariant's form: OpenAI's messages, with what each client's dialect makes of them.

Invariant's gateway takes OpenAI's messages as they are, and has a converter each for Anthropic and Gemini; what is written here
equals theirs, message for message, for requests and for answers. Dialects that it does not know (Responses, Converse) are
written as Anthropic's are: a message for each text and each call, arguments as objects, results by the call's id.

Where the reference is wrong, this is right instead:

- the history of an assistant as a plain string (Anthropic's shorthand) stops its converter; here it is a message;
- tool results without content (Anthropic), and Gemini's `functionResponse` without the key `result`, lose the result; here the
  empty text and the whole response stand there;
- images by URL and Gemini's `mimeType` stop its converters; documents, audio, video and files are dropped; all of them are parts;
- Gemini's turns without a role, or with `function`, are dropped; here they are the user's;
- an answer that was streamed loses its usage, and its tools' arguments stay a text (Anthropic) or get an `index` (OpenAI); here
  a streamed answer has the form of a whole one.

One rule: a message has no key whose value is null: Explorer is sent none.
https://github.com/invariantlabs-ai/invariant-gateway/tree/main/gateway/converters
"""

from collections.abc import Sequence

from gatewright.invariant.anthropic_form import anthropic_answer, anthropic_messages
from gatewright.invariant.gemini_form import gemini_answer, gemini_messages
from gatewright.invariant.openai_form import openai_answer, openai_messages
from gatewright.invariant.other_forms import other_answer, other_messages
from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject


def messages_of(request: Request, response: Response | None = None, dialect: DialectName | None = None) -> list[JsonObject]:
    """The conversation as a client of `dialect` told it (by default the request's own), and its answer, if there is one."""
    form = dialect or request.origin
    return without_nulls([*asked(request, form), *(answered(response, form) if response is not None else ())])


def asked(request: Request, dialect: DialectName) -> Sequence[JsonObject]:
    match dialect:
        case "anthropic":
            return anthropic_messages(request.messages)
        case "gemini":
            return gemini_messages(request.messages)
        case "openai_chat":
            return openai_messages(request.messages)
        case _:
            return other_messages(request.messages)


def answered(response: Response, dialect: DialectName) -> Sequence[JsonObject]:
    match dialect:
        case "anthropic":
            return anthropic_answer(response)
        case "gemini":
            return gemini_answer(response)
        case "openai_chat":
            return openai_answer(response)
        case _:
            return other_answer(response)


def without_nulls(messages: Sequence[JsonObject]) -> list[JsonObject]:
    return [{key: value for key, value in message.items() if value is not None} for message in messages]

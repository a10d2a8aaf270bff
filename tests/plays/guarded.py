"""Plays behind guards: the strict upstream, models of every API, and rules for words that are easily said."""

from gatewright.dialects import BY_NAME
from gatewright.ir.events import StreamError, StreamEvent, TextDelta
from gatewright.ir.request import Asked
from tests.plays.scene import PROVIDER, strict
from tests.upstreams.models import MODELS
from tests.upstreams.script import TAIL

APIS = tuple(MODELS)
FORBIDDEN = "Grüße"
"""Ends every answer of the strict upstream."""
assert FORBIDDEN in TAIL


def rule(name: str, pattern: str, **settings: object) -> str:
    more = "".join(f", {key}: {value}" for key, value in settings.items())
    return f"    - {{name: {name}, kind: patterns, patterns: ['{pattern}']{more}}}"


def guards(*rules: str, **terms: object) -> str:
    """The section `guards`."""
    said = "".join(f"  {key}: {value}\n" for key, value in terms.items())
    return f"guards:\n{said}  rules:\n" + "\n".join(rules) + "\n"


def behind(tmp_path, *rules: str, models: str = "", **terms: object):
    """A gateway before the strict upstream, with these rules."""
    return strict(tmp_path, more=models + "\n" + guards(*rules, **terms))


def events_of(client: str, wire: bytes) -> list[StreamEvent]:
    """What a stream tells, its error too."""
    parser = BY_NAME[client].stream_parser(Asked())
    return [*parser.feed(wire), *parser.close()]


def text_of(client: str, wire: bytes) -> str:
    """All text that a stream tells, however it ends."""
    return "".join(event.text for event in events_of(client, wire) if isinstance(event, TextDelta))


def error_of(client: str, wire: bytes) -> str:
    """The message in which a stream ends."""
    last = events_of(client, wire)[-1]
    assert isinstance(last, StreamError), last
    return last.problem.message


__all__ = ["APIS", "FORBIDDEN", "PROVIDER", "behind", "error_of", "events_of", "guards", "rule", "text_of"]

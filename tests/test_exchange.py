"""An exchange tells what its request means, once, to whoever decides by it."""

import pytest

from gatewright.dialects import BY_NAME
from gatewright.errors import Refused
from gatewright.exchange import Exchange
from gatewright.wire.http import Call


class Counted:
    """A dialect that counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0

    def parse_request(self, call):
        self.times += 1
        return BY_NAME["openai_chat"].parse_request(call)


def asking(body: bytes) -> Exchange:
    call = Call(path="/v1/chat/completions", body=body)
    return Exchange(request_id="r", dialect="openai_chat", operation="generate", method="POST", call=call, started=0.0)


def test_a_request_is_read_once_and_its_bytes_may_still_pass():
    """`request` stays None: set, it means that it was changed and must be rendered anew."""
    dialect = Counted()
    exchange = asking(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}')
    first = exchange.understood({"openai_chat": dialect})
    assert exchange.understood({"openai_chat": dialect}) is first
    assert (dialect.times, exchange.request) == (1, None)


def test_a_request_that_was_changed_is_what_counts():
    """Nobody decides by what the client once said."""
    exchange = asking(b"not even JSON")
    exchange.request = BY_NAME["openai_chat"].parse_request(asking(b'{"model": "changed", "messages": []}').call)
    assert exchange.understood({}).model == "changed"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": 5, "messages": 7}', b"\xff"])
def test_what_cannot_be_read_is_the_clients_to_mend(body):
    """A 400, whatever the dialect's parser says of it."""
    with pytest.raises(Refused) as refused:
        asking(body).understood(BY_NAME)
    assert refused.value.problem.http_status == 400

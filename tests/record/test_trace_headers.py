"""Headers of a trace: those that are named, and no others."""

from gatewright.record import trace_headers as headers

SECRETS = ("authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization", "x-gatewright-key", "invariant-authorization", "set-cookie", "x-amz-security-token")  # fmt: skip


def test_no_header_that_holds_a_credential_is_kept():
    """Of requests, of answers, of ours to a provider."""
    sent = dict.fromkeys(SECRETS, "s3cret") | {"user-agent": "sdk/1", "x-unheard-of": "s3cret"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items()).encode()
    assert headers.of_client(sent) == (("user-agent", "sdk/1"),)
    assert headers.of_request_lines(lines) == (("user-agent", "sdk/1"),)
    assert headers.of_answer_lines(lines) == ()
    assert headers.of_answer([(name.encode(), b"s3cret") for name in SECRETS]) == ()
    assert headers.of_client(sent, ["x-unheard-of"])[-1] == ("x-unheard-of", "s3cret")


def test_a_query_is_told_by_its_names():
    """Whoever puts a token there must not find it in a trace."""
    assert headers.of_query([("alt", "sse"), ("access_token", "s3cret"), ("Key", "x")]) == (
        ("alt", "sse"),
        ("access_token", "***"),
        ("Key", "***"),
    )


def test_what_is_long_is_cut():
    """A header is a line."""
    assert len(headers.of_client({"user-agent": "x" * 9999})[0][1]) == headers.MOST

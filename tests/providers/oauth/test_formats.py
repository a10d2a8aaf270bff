"""Accounts as documents."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.account import Account, Tokens
from gatewright.providers.oauth.formats import MASK, Unusable, read, written

NOW = 1_700_000_000.0
TOKENS = Tokens(access="at-1", refresh="rt-1", obtained_at=NOW - 60, expires_at=NOW + 3540)
ANN = Account(id="1", provider="ob1", name="ann@x", tokens=TOKENS, identity={"org_id": "o", "user_id": "u"})


def test_an_export_is_masked_unless_asked():
    """A screenshot of it gives nothing away."""
    masked = json.dumps(written([ANN], reveal=False))
    assert "at-1" not in masked
    assert "rt-1" not in masked
    assert "ann@x" in masked
    assert "at-1" in json.dumps(written([ANN], reveal=True))


def test_what_is_exported_can_be_imported():
    """To another machine, with another key."""
    (one,) = read(json.loads(json.dumps(written([ANN], reveal=True))), NOW)
    assert (one.provider, one.name, one.tokens, one.identity) == ("ob1", "ann@x", TOKENS, {"org_id": "o", "user_id": "u"})


def test_a_masked_export_is_refused():
    """`***` must not become anybody's token."""
    with pytest.raises(Unusable, match=r"accounts\[0\]: the tokens are masked; export them with --reveal"):
        read(written([ANN], reveal=False), NOW)


def test_accounts_of_ob12api_are_read():
    """`config/accounts.json` is the list; its export wraps it."""
    row = {
        "email": "ann@x",
        "access_token": "at",
        "refresh_token": "rt",
        "expires_at": NOW + 100,
        "org_id": "org_1",
        "org_name": "One",
        "user_id": "user_1",
        "user_data": {"id": "user_1"},
    }
    for document in ([row], {"accounts": [row]}):
        (one,) = read(document, NOW)
        assert (one.provider, one.name) == ("", "ann@x")
        assert one.tokens == Tokens(access="at", refresh="rt", obtained_at=NOW, expires_at=NOW + 100)
        assert one.identity == {"user_id": "user_1", "org_id": "org_1", "org_name": "One"}


def test_the_login_of_the_ob1_program_is_read():
    """Its times are milliseconds."""
    oauth = {
        "access_token": "at",
        "refresh_token": "rt",
        "expires_at": int((NOW + 100) * 1000),
        "organization_id": "org_1",
        "user": {"id": "user_1", "email": "ann@x"},
    }
    (one,) = read({"oauth": oauth}, NOW)
    assert (one.name, one.identity) == ("ann@x", {"user_id": "user_1", "org_id": "org_1"})
    assert one.tokens == Tokens(access="at", refresh="rt", obtained_at=NOW, expires_at=NOW + 100)


@pytest.mark.parametrize(
    "row",
    [
        {"access_token": "at", "refresh_token": "rt"},
        {"refresh_token": "rt", "expires_at": NOW + 9999},
        {"access_token": "at", "refresh_token": "rt", "expires_at": 0},
    ],
)
def test_what_is_unclear_is_refreshed_before_it_is_used(row):
    """An end that nobody told, an access token that is not there."""
    (one,) = read([row], NOW)
    assert one.tokens.expires_at == NOW


def test_dates_are_read_as_text_too():
    """RFC 3339."""
    (one,) = read([{"access_token": "a", "refresh_token": "r", "expires_at": "2023-11-14T22:15:00+00:00"}], NOW)
    assert one.tokens.expires_at == NOW + 100


@pytest.mark.parametrize(
    ("document", "told_so"),
    [
        ("x", "expected a list"),
        ({}, "expected a list"),
        ({"accounts": {}}, "expected a list"),
        ([1], "accounts[0]: expected an object"),
        ([{}], 'accounts[0]: expected "access_token"'),
        ([{"access_token": "a\r\nx: y"}], "accounts[0]: expected"),
        ([{"access_token": "a b"}], "accounts[0].access_token: not a token"),
        ([{"access_token": "ä"}], "accounts[0].access_token: not a token"),
        ([{"access_token": "a", "expires_at": "soon"}], "accounts[0].expires_at: expected"),
        ({"version": 2, "accounts": []}, "version: expected 1"),
        ({"oauth": {}}, 'oauth: expected "access_token"'),
    ],
)
def test_what_cannot_be_read_is_named_by_place(document, told_so):
    """And never by value."""
    with pytest.raises(Unusable) as caught:
        read(document, NOW)
    assert told_so in str(caught.value)


def test_an_account_that_cannot_be_opened_is_exported_without_tokens():
    """And not imported again."""
    lost = msgspec.structs.replace(ANN, tokens=None, state="unreadable")
    document = written([lost], reveal=True)
    assert document["accounts"][0]["access_token"] is None
    with pytest.raises(Unusable):
        read(document, NOW)


ROW = st.dictionaries(
    st.sampled_from(
        ["provider", "name", "email", "access_token", "refresh_token", "expires_at", "obtained_at", "identity", "org_id"]
    ),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.just(MASK)
    | st.dictionaries(st.text(), st.integers() | st.text()),
)


@settings(max_examples=300, deadline=None)
@given(document=st.lists(ROW | st.text(), max_size=3) | st.fixed_dictionaries({"oauth": ROW}) | ROW)
def test_whatever_is_given_is_read_or_refused(document):
    """What is read can be sent, and is not a mask."""
    told = ""
    found = ()
    try:
        found = read(document, NOW)
    except Unusable as error:
        told = str(error)
    assert MASK not in told
    for one in found:
        for token in (one.tokens.access, one.tokens.refresh):
            assert token != MASK
            assert all("!" <= c <= "~" for c in token)
        assert one.name.isprintable()

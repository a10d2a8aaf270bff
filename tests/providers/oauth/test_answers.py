"""What a token endpoint answers."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plays.workos import jwt

from gatewright.providers.oauth.answers import NoGrant, claims_of, granted, identity_in, name_in, tokens_in
from gatewright.providers.oauth.descriptions import BY_NAME

NOW = 1_700_000_000.0


def refused(status, body, headers=None) -> NoGrant:
    with pytest.raises(NoGrant) as caught:
        granted(status, headers or {}, body, "id.example")
    return caught.value


def test_a_grant_is_given_back_whole():
    """Identity is in it too."""
    assert granted(200, {}, b'{"access_token": "a", "x": 1}', "id.example") == {"access_token": "a", "x": 1}


@pytest.mark.parametrize("code", ["invalid_grant", "access_denied", "sso_required", "mfa_enrollment", "expired_token"])
def test_some_refusals_are_final(code):
    """Only a login helps."""
    error = refused(400, b'{"error": "%s", "error_description": "so it is"}' % code.encode())
    assert (error.terminal, error.error, error.heard) == (True, code, False)
    assert "id.example refused with" in str(error)
    assert "so it is" in str(error)


def test_others_are_not():
    """A server in trouble has revoked nothing."""
    for status, body in [
        (500, b'{"error": "server_error"}'),
        (503, b"<html>"),
        (429, b"{}"),
        (200, b"[1"),
        (401, b'{"error": "invalid_client"}'),
    ]:
        assert not refused(status, body).terminal


def test_whether_the_token_may_be_used_up():
    """An error in good form says that it is not; whatever is unclear may have used it."""
    assert not refused(400, b'{"error": "invalid_request"}').heard
    assert refused(500, b'{"error": "server_error"}').heard
    assert refused(502, b"<html>").heard
    assert refused(200, b"<html>").heard
    assert not refused(429, b"<html>").heard


def test_errors_with_status_200_and_other_words_are_read():
    """GitHub answers so; WorkOS says `code` and `message` where it is not OAuth's business."""
    assert refused(200, b'{"error": "slow_down", "interval": 10}').error == "slow_down"
    error = refused(422, b'{"code": "invalid_request_parameters", "message": "Validation failed"}')
    assert error.error == "invalid_request_parameters"
    assert "Validation failed" in str(error)


def test_a_servers_words_are_cut_and_harmless():
    """They reach a terminal."""
    error = refused(400, b'{"error": "invalid_grant", "error_description": "\\u001b[2J' + b"x" * 1000 + b'"}')
    assert "\x1b" not in str(error)
    assert len(str(error)) < 300


def test_retry_after_is_told():
    """And only seconds."""
    assert refused(429, b"{}", {"retry-after": "7"}).problem.retry_after_s == 7
    assert refused(429, b"{}", {"retry-after": "Mon"}).problem.retry_after_s is None


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ({"access_token": "a", "refresh_token": "r", "expires_in": 300}, 300),
        ({"access_token": "a", "refresh_token": "r", "expires_in": "300"}, 300),
        ({"access_token": "a", "refresh_token": "r", "expires_in": -5}, 0),
        ({"access_token": "a", "refresh_token": "r", "expires_in": 1e14}, 10 * 366 * 86_400),
        ({"access_token": "a", "refresh_token": "r", "expires_in": True}, 3600),
        ({"access_token": "a", "refresh_token": "r"}, 3600),
        ({"access_token": jwt(iat=50, exp=650), "refresh_token": "r"}, 600),  # the server's clock stands in 1970: no matter
        ({"access_token": jwt(exp=NOW + 90), "refresh_token": "r"}, 90),
    ],
)
def test_when_a_token_ends(answer, ends):
    """By what is said of it, else by the token itself, counted from our own clock."""
    assert tokens_in(answer, NOW).expires_at == NOW + ends


def test_a_token_that_cannot_be_refreshed_and_says_nothing_does_not_end():
    """It serves until it is refused."""
    assert tokens_in({"access_token": "a"}, NOW).expires_at is None


def test_a_refresh_token_that_is_not_renewed_goes_on():
    """Not every server rotates."""
    assert tokens_in({"access_token": "a"}, NOW, kept="old").refresh == "old"
    assert tokens_in({"access_token": "a", "refresh_token": None}, NOW, kept="old").refresh == "old"
    assert tokens_in({"access_token": "a", "refresh_token": "new"}, NOW, kept="old").refresh == "new"


def test_who_it_is():
    """From the answer, or from an OpenID token in it."""
    ob1 = BY_NAME["ob1"]
    answer = {"access_token": "a", "user": {"id": "u", "email": "e@x"}, "organization_id": None}
    assert name_in(answer, ob1) == "e@x"
    assert identity_in(answer, ob1) == {"user_id": "u"}
    assert identity_in({**answer, "organization_id": "o"}, ob1) == {"user_id": "u", "org_id": "o"}
    assert name_in({"access_token": "a", "id_token": jwt(email="j@x")}, ob1) == "j@x"
    assert name_in({"access_token": "a", "user": "odd"}, ob1) == ""


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.W10.c", "a.!!.c", "…"])
def test_what_is_no_jwt_has_no_claims(token):
    """Opaque tokens are the rule."""
    assert claims_of(token) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "access_token",
                    "refresh_token",
                    "expires_in",
                    "error",
                    "error_description",
                    "user",
                    "email",
                    "id",
                    "id_token",
                    "x",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(document=JSON, status=st.sampled_from([200, 201, 302, 400, 401, 429, 500]))
def test_whatever_comes_is_a_grant_or_told(document, status):
    """A token that is granted can stand in a header; all else is a NoGrant that a terminal can show."""
    told = ""
    try:
        answer = granted(status, {}, msgspec.json.encode(document), "id.example")
        tokens = tokens_in(answer, NOW)
    except NoGrant as error:
        told = str(error)
    if told:
        assert told.isprintable()
        return
    assert tokens.access.isascii()
    assert tokens.access.isprintable()
    assert name_in(answer, BY_NAME["ob1"]).isprintable()
    assert all(text.isprintable() for text in identity_in(answer, BY_NAME["ob1"]).values())


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=60), status=st.sampled_from([200, 400, 500]))
def test_whatever_bytes_come(body, status):
    """Most are not even JSON."""
    with pytest.raises(NoGrant):
        granted(status, {"content-type": "x/\x1b"}, body, "id.example")

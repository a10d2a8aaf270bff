"""Signatures are AWS's own: its published vectors, and botocore's signer on random requests."""

import datetime as dt
from unittest import mock
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.providers.auth.sigv4 import UNSIGNED, Keys, Signer, canonical_request, signing_key

NOW = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC).timestamp()
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "example.amazonaws.com"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/"
    "qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xV"
    "qr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
SHORT_TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = "application/x-www-form-urlencoded"
ODD = f"{quote('@#$%^')}=&{quote('+')}={quote('/,?><`' + chr(34) + ';:' + chr(92) + '|][{}', safe='')}"

# Name in the suite, method, path as on the wire, headers beside host and date, body, session token, signature.
VECTORS = [
    ("get-vanilla", "GET", "/", [], b"", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    (
        "get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", [], b"", "",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-vanilla-query-order-encoded", "GET", "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", [], b"", "",
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    (
        "get-vanilla-query-unreserved", "GET", f"/?{UNRESERVED}={UNRESERVED}", [], b"", "",
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    (
        "get-vanilla-utf8-query", "GET", "/?%E1%88%B4=bar", [], b"", "",
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    (
        "get-vanilla-empty-query-key", "GET", "/?Param1=value1", [], b"", "",
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    (
        "get-vanilla-with-session-token", "GET", "/", [], b"", SHORT_TOKEN,
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
    ),
    ("get-unreserved", "GET", f"/{UNRESERVED}", [], b"", "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    ("get-utf8", "GET", "/ሴ", [], b"", "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    (
        "get-space-normalized", "GET", "/example space/", [], b"", "",
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    (
        "get-slashes-normalized", "GET", "//example//", [], b"", "",
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    (
        "get-relative-relative-normalized", "GET", "/example1/example2/../..", [], b"", "",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "get-header-key-duplicate", "GET", "/",
        [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")], b"", "",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "get-header-value-multiline", "GET", "/", [("My-Header1", "value1,value2,value3")], b"", "",
        "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790",
    ),
    (
        "get-header-value-order", "GET", "/",
        [("My-Header1", "value4"), ("My-Header1", "value1"), ("My-Header1", "value3"), ("My-Header1", "value2")], b"", "",
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    (
        "get-header-value-trim", "GET", "/", [("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')], b"", "",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    ("post-vanilla", "POST", "/", [], b"", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("post-header-key-case", "POST", "/", [], b"", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    (
        "post-header-key-sort", "POST", "/", [("My-Header1", "value1")], b"", "",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    (
        "post-header-value-case", "POST", "/", [("My-Header1", "VALUE1")], b"", "",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    ("post-sts-header-before", "POST", "/", [], b"", TOKEN, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    (
        "post-vanilla-query", "POST", "/?Param1=value1", [], b"", "",
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
    ),
    (
        "post-vanilla-query-nonunreserved", "POST", f"/?{ODD}", [], b"", "",
        "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e",
    ),
    (
        "post-vanilla-query-space", "POST", "/?p=", [], b"", "",
        "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b",
    ),
    (
        "post-x-www-form-urlencoded", "POST", "/", [("Content-Type", FORM)], b"Param1=value1", "",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    (
        "post-x-www-form-urlencoded-parameters", "POST", "/", [("Content-Type", f"{FORM}; charset=utf8")], b"Param1=value1", "",
        "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
    ),
]  # fmt: skip
"""AWS's Signature Version 4 test suite (awslabs/aws-c-auth, tests/aws-signing-test-suite/v4), those that sign by header."""


def signed(keys: Keys, **call: object) -> dict[str, str]:
    return dict(Signer("us-east-1", "service").headers(keys, now=NOW, host=HOST, **call))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "token", "signature"), [v[1:] for v in VECTORS], ids=[v[0] for v in VECTORS]
)
def test_signatures_are_those_of_the_published_suite(
    method: str, path: str, headers: list[tuple[str, str]], body: bytes, token: str, signature: str
):
    """A different signature is a 403 from every service."""
    added = signed(Keys("AKIDEXAMPLE", SECRET, token), method=method, path=path, headers=headers, body=body)
    assert added["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ")
    assert added["authorization"].endswith(f"Signature={signature}")
    assert added["x-amz-date"] == "20150830T123600Z"
    assert added.get("x-amz-security-token", "") == token


def test_the_documented_example_of_a_service_call_is_signed_alike():
    """The example of the IAM guide, with its whole header."""
    added = Signer("us-east-1", "iam").headers(
        Keys("AKIDEXAMPLE", SECRET),
        method="GET",
        host="iam.amazonaws.com",
        path="/?Action=ListUsers&Version=2010-05-08",
        headers=[("Content-Type", f"{FORM}; charset=utf-8")],
        now=NOW,
    )
    assert dict(added)["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_the_signing_key_is_the_documented_one():
    expected = "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
    assert signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam").hex() == expected


def test_a_model_id_in_the_path_is_signed_encoded_twice():
    """Bedrock's ids hold `:` and `/`: `%3A` on the wire is `%253A` in what is signed."""
    path = f"/model/{quote('arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.a-v1:0', safe='')}/converse"
    canonical, _ = canonical_request("POST", path, [("host", HOST)], b"")
    assert canonical.split("\n")[1] == (
        "/model/arn%253Aaws%253Abedrock%253Aus-west-2%253A123456789012%253Ainference-profile%252Fus.a-v1%253A0/converse"
    )


def test_the_key_of_the_day_is_made_anew_for_another_day_and_another_secret():
    """One signer serves for months; credentials rotate under it."""
    signer = Signer("eu-west-1", "bedrock")
    days = [NOW, NOW + 86_400, NOW]
    secrets = ["one", "one", "two"]
    kept = [
        signer.headers(Keys("AKID", secret), method="POST", host=HOST, path="/", now=now)
        for now, secret in zip(days, secrets, strict=True)
    ]
    fresh = [
        Signer("eu-west-1", "bedrock").headers(Keys("AKID", secret), method="POST", host=HOST, path="/", now=now)
        for now, secret in zip(days, secrets, strict=True)
    ]
    assert kept == fresh
    assert len(set(kept)) == 3


def test_keys_do_not_show_their_secret():
    assert "hush" not in repr(Keys("AKIDEXAMPLE", "hush", "hush"))


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True).filter(
    lambda name: name.lower() not in (*UNSIGNED, "host", "date", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256")
)
VALUES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n\0"), max_size=20)
SEGMENTS = st.one_of(
    st.text(max_size=12).map(lambda s: quote(s.encode("utf-8", "replace"), safe="")),
    st.sampled_from(
        ["us.anthropic.claude-sonnet-4-5-20250929-v1%3A0", "a:b", "a%2Fb", "%252F", ".", "..", "", "x~y", "converse"]
    ),
)
QUERIES = st.lists(
    st.tuples(st.text(max_size=6), st.text(max_size=6)).map(
        lambda p: "=".join(quote(part.encode("utf-8", "replace"), safe="") for part in p)
    ),
    max_size=4,
)


@settings(max_examples=400, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    segments=st.lists(SEGMENTS, max_size=5),
    query=QUERIES,
    headers=st.dictionaries(NAMES, VALUES, max_size=4),
    body=st.binary(max_size=64),
    token=st.sampled_from(["", TOKEN, "t/+="]),
    now=st.integers(0, 4_000_000_000),
)
def test_random_requests_are_signed_as_botocore_signs_them(method, segments, query, headers, body, token, now):
    path = "/" + "/".join(segments) + ("?" + "&".join(query) if query else "")
    headers = {
        name: value for i, (name, value) in enumerate(headers.items()) if name.lower() not in list(map(str.lower, headers))[:i]
    }
    request = AWSRequest(method=method, url=f"https://{HOST}{path}", headers=headers, data=body)
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment):  # its clock is not an argument
        botocore.auth.SigV4Auth(Credentials("AKID", SECRET, token or None), "bedrock", "eu-central-1").add_auth(request)
    ours = dict(
        Signer("eu-central-1", "bedrock").headers(
            Keys("AKID", SECRET, token), method=method, host=HOST, path=path, headers=headers.items(), body=body, now=now
        )
    )
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]

"""What is known of a configuration's secrets: the whole, the parts that are secrets alone, and none of the words around them."""

import json
from collections import OrderedDict

import msgspec
import pytest
from tests.identity import certificate_pem

from gatewright.config.known_secrets import LONG, secrets_in
from gatewright.config.secrets import Secret


class Holder(msgspec.Struct, frozen=True):
    held: object = None
    api_key: object = None
    monkey_business: str = "no secret at all"


def found(text: str) -> set[str]:
    """What is known where this is the only secret."""
    return set(secrets_in(Secret(text)))


@pytest.mark.parametrize(
    "around",
    [
        lambda it: it,
        lambda it: (it,),
        lambda it: [it],
        lambda it: {it},
        lambda it: frozenset((it,)),
        lambda it: {"name": it},
        lambda it: {("a", "b"): it},
        lambda it: OrderedDict(name=it),
        Holder,
        lambda it: Holder({"deep": [(("header", it),), 7, None, b"bytes"]}),
    ],
)
def test_a_secret_is_found_in_whatever_holds_it(around):
    """A configuration is structs, maps and sequences of any depth; nothing else of it is a secret."""
    assert list(secrets_in(around(Secret("the-secret")))) == ["the-secret"]


def test_a_text_is_a_secret_where_its_name_says_so():
    """Guards are read below the configuration, where nothing is a `Secret`: their keys and headers are texts."""
    guard = Holder({"url": "https://judge.test/check", "headers": {"X-Api-Key": "one", "x-stage": "night"}}, api_key="two")
    assert set(secrets_in(guard)) == {"one", "two"}
    assert set(secrets_in({"tokens_per_minute": "30", "key_name": "ci", "models": ["key", "token"]})) == set()


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://postgres:hunter22@db.example.com:5432/test", "hunter22"),
        ("postgresql+psycopg://u:p@h1:5432,h2:5432/test?sslmode=require", "p"),
        ("redis://:s3cretpass@10.0.0.1:6379/0", "s3cretpass"),
        ("postgresql://u:pa/ss#wo?rd@h/db", "pa/ss#wo?rd"),  # SQLAlchemy takes these
        ("postgresql://u:pa[ss@h/db", "pa[ss"),
        ("https://u:wow@host/hook", "wow"),
        ("postgresql://h/db?password=x", "x"),
    ],
)
def test_of_a_url_the_password_is_known_and_the_words_are_not(url, password):
    """`postgres`, `test` and hosts would be taken out of everything that is said about databases."""
    assert found(url) == {url, password}


def test_an_escaped_password_is_known_as_it_is_meant_too():
    """The driver tells it as it sends it."""
    assert found("postgresql://u:a%40b%2Fc@h/db") >= {"a%40b%2Fc", "a@b/c"}


@pytest.mark.parametrize("url", ["postgresql://gw@db/test", "sqlite:////var/lib/gw.db", "redis://127.0.0.1:6379/0"])
def test_a_url_without_secrets_has_no_parts(url):
    assert found(url) == {url}


def test_of_a_webhook_each_long_part_is_known():
    """Its token may be anywhere in the path, before a slash, or one of several parameters."""
    token, other = "T0ken" * 5, "c2lnbmF0dXJl%3D%3D" * 2
    assert token in found(f"https://hooks.test/services/T01/B02/{token}")
    assert token in found(f"https://hooks.test/services/{token}/")
    assert token in found(f"https://hooks.test/{token}/incoming/x")
    query = f"version=2&sig={other}"
    assert found(f"https://hooks.test/run?{query}") >= {query, other, "c2lnbmF0dXJl==" * 2}


def test_the_short_parts_of_a_webhook_are_words():
    """From `LONG` characters on they are no longer such as are written for people."""
    word = "w" * (LONG - 1)
    url = f"https://hooks.test/{word}/{word}?{word[:9]}"
    assert found(url) == {url}
    assert word + "w" in found(f"https://hooks.test/{word}w")


def test_of_other_urls_only_the_last_part_and_the_query_are_taken_for_secrets():
    """Folders and options of a database stand in commands and paths that are nobody's secret."""
    url = "sqlite:////home/somebody-with-a-name/gw.db"
    assert found(url) == {url}
    options = "sslrootcert=/etc/ssl/certs/ca-certificates.crt"
    assert found(f"postgresql://h/db?{options}") == {f"postgresql://h/db?{options}", options}


def test_of_a_key_of_several_lines_each_is_known():
    """But for the marks, which are in all of them."""
    pem = certificate_pem()
    known = found(pem)
    lines = [line for line in pem.splitlines() if not line.startswith("-----")]
    assert len(lines) > 30
    assert known == {pem, *lines}
    assert set(lines) <= found(f"subject=URI:spiffe://here/x\n{pem}")
    assert found("  indented\r\n\r\n -----END X-----\nlast") >= {"indented", "last"}


@pytest.mark.parametrize("indent", [None, 1])
def test_of_a_credentials_file_the_members_are_known_that_are_secrets(indent):
    """Google's, however it is written: its key by its lines; what is in all of them is not."""
    key = certificate_pem().rpartition("-----BEGIN")[2]
    file = {
        "type": "service_account", "project_id": "a-project-of-some-name", "private_key": f"-----BEGIN{key}", "client_id": "10" * 10,
        "token_uri": "https://oauth2.googleapis.com/token",
    }  # fmt: skip
    known = found(json.dumps(file, indent=indent))
    assert {file["private_key"], *file["private_key"].splitlines()[1:-1]} <= known
    assert not {"service_account", '"type": "service_account",', "a-project-of-some-name", file["token_uri"]} & known
    user = {"type": "authorized_user", "client_secret": "GOCSPX-x", "refresh_token": "1//0abc", "client_id": "app.test"}
    known = found(json.dumps({"source_credentials": [user], "type": "x"}, indent=indent))
    assert {"GOCSPX-x", "1//0abc"} <= known
    assert not {"app.test", "authorized_user"} & known


@pytest.mark.parametrize("text", ["{", "{not json", "{}", '{"a": ' * 5_000, "[1]"])
def test_what_is_no_credentials_file_is_a_secret_as_it_is(text):
    assert found(text) == {text}


def test_of_a_headers_value_the_token_is_known():
    """Whoever refuses it names it without the word before it."""
    assert found("Bearer abc.def") == {"Bearer abc.def", "abc.def"}
    assert found("two words") == {"two words"}

"""Whose call it is, from where, for what; and that a wrong key tells nothing of a good one."""

import random
import statistics
import time
from types import SimpleNamespace

import pytest
from tests.serving import call, gateway

from gatewright.errors import Refused
from gatewright.exchange import Exchange
from gatewright.pipeline.authenticate import Authenticate
from gatewright.principals.networks import network
from gatewright.principals.records import Held, Key, Records
from gatewright.principals.roll import roll_of
from gatewright.principals.secrets import digest, new_key
from gatewright.wire.http import Call

SECRET = "gw-a-key-of-a-test-4711"
NOW = 1_800_000_000.0


def stage(trusted=(), clock=lambda: NOW, **fields) -> Authenticate:
    held = Held(key=Key(id="k", name="k", **fields), digest=digest(SECRET.encode()))
    roll = roll_of(Records(keys=(held,)), Records(), NOW)
    return Authenticate(roll, clock=clock, trusted=[network(text) for text in trusted])


def exchange(operation="generate", dialect="openai_chat", peer="127.0.0.1", path="/v1/chat/completions", key=SECRET, **headers):
    made = Exchange(
        request_id="r",
        dialect=dialect,
        operation=operation,
        method="POST",
        call=Call(path=path, body=b"", headers={name.replace("_", "-"): value for name, value in headers.items()}),
        started=0.0,
        credential=key.encode(),
    )
    made.connection = SimpleNamespace(get_extra_info=lambda name, default=None: (peer, 1234) if peer else None)
    return made


def refusal(authenticate: Authenticate, asked: Exchange) -> str:
    """The code; empty where it is let in."""
    try:
        authenticate.check(asked)
    except Refused as error:
        assert asked.principal is None
        return error.problem.code
    assert asked.principal is not None
    return ""


def test_a_key_ends_when_it_says():
    """Also one that was good when the worker read it, and was used a moment before."""
    now = [NOW]
    authenticate = stage(expires=int(NOW) + 10, clock=lambda: now[0])
    assert refusal(authenticate, exchange()) == ""
    now[0] += 10
    assert refusal(authenticate, exchange()) == "key_expired"


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("10.1.2.3", ""),
        ("::ffff:10.1.2.3", ""),
        ("2001:db8::1%eth0", ""),
        ("11.1.2.3", "ip_not_allowed"),
        ("::1", "ip_not_allowed"),
        ("", "ip_not_allowed"),
        ("/run/socket", "ip_not_allowed"),
    ],
)
def test_where_it_may_be_used_is_the_sockets_word(peer, expected):
    """An address of IPv4 within IPv6 is itself; whoever has none is let in nowhere; and no header changes it."""
    authenticate = stage(ips=("10.0.0.0/8", "2001:db8::/32"))
    for forwarded in (None, "10.1.2.3", "1.1.1.1"):
        headers = {"x_forwarded_for": forwarded} if forwarded else {}
        assert refusal(authenticate, exchange(peer=peer, **headers)) == expected


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("10.1.2.3", ""),
        ("1.1.1.1, 10.1.2.3", ""),
        ("10.1.2.3, 1.1.1.1", "ip_not_allowed"),
        ("1.1.1.1, 10.1.2.3, 192.0.2.9", ""),
        ("10.1.2.3, 1.1.1.1, 192.0.2.9", "ip_not_allowed"),
        ("10.1.2.3:4567", ""),
        ("[::ffff:10.1.2.3]:80", ""),
        ("nonsense", "ip_not_allowed"),
        ("10.1.2.3, ", "ip_not_allowed"),
        ("", "ip_not_allowed"),
    ],
)
def test_a_trusted_proxy_is_believed_and_nobody_before_it(forwarded, expected):
    """The last that is not trusted is the caller: what stands before it, he has written himself."""
    authenticate = stage(ips=("10.0.0.0/8",), trusted=("192.0.2.0/24",))
    assert refusal(authenticate, exchange(peer="192.0.2.1", x_forwarded_for=forwarded)) == expected
    assert refusal(authenticate, exchange(peer="1.1.1.1", x_forwarded_for=forwarded)) == "ip_not_allowed"


async def test_a_proxys_own_line_counts_beside_a_made_up_one(tmp_path):
    """Some proxies add a header of the same name, behind the one that their client has sent."""
    yaml = "server: {trusted_proxies: [127.0.0.1]}\nproviders: {demo: {kind: demo}}"
    async with gateway(yaml, tmp_path, keys=f"{{name: k, key: {SECRET}, ips: [10.0.0.0/8]}}") as gw:
        for lines, status in (
            (("10.1.2.3",), 200),
            (("10.1.2.3", "1.1.1.1"), 403),
            (("1.1.1.1", "10.1.2.3"), 200),
        ):
            names = ("X-Forwarded-For", "x-forwarded-for")
            written = "".join(f"{name}: {line}\r\n" for name, line in zip(names, lines, strict=False))
            got = await call(gw.port, "/v1/models", b"", method="GET", headers=f"authorization: Bearer {SECRET}\r\n{written}")
            assert got.status == status, (lines, got.body)


def test_dialects_and_routes_narrow():
    """What a key is for: dialects of model calls, operations, and paths with or without their version."""
    authenticate = stage(dialects=("anthropic",))
    assert refusal(authenticate, exchange(dialect="anthropic")) == ""
    assert refusal(authenticate, exchange()) == "dialect_not_allowed"
    assert refusal(authenticate, exchange("list_models")) == "", "no model is called"
    authenticate = stage(routes=("list_models", "/v1/embeddings"))
    assert refusal(authenticate, exchange("list_models", path="/v1/models")) == ""
    assert refusal(authenticate, exchange("forward", path="/v1/embeddings")) == ""
    assert refusal(authenticate, exchange("forward", path="/embeddings")) == ""
    assert refusal(authenticate, exchange("forward", path="/v1/embeddings/x")) == "route_not_allowed"
    assert refusal(authenticate, exchange()) == "route_not_allowed"


def test_what_cannot_be_looked_up_is_not_wrong():
    """Before the stored keys are known an unknown one is told to come again; a declared one is served."""
    authenticate = stage()
    authenticate.know(authenticate.roll, complete=False)
    assert refusal(authenticate, exchange(key="gw-other")) == "keys_unavailable"
    assert refusal(authenticate, exchange()) == ""


def test_the_time_of_a_wrong_key_does_not_depend_on_its_beginning():
    """Wrong keys that share none, half, or all but the last character with a good one take the same time.

    That this cannot be otherwise: what is looked up is the SHA-256 of the whole key, in a hash table whose hash is keyed anew in
    every process; keys that were good are found by such a hash of all their bytes. Nothing compares a wrong key with a good one
    but where these agree. The test guards that against a change: medians of interleaved rounds, and a bound that is generous,
    for a comparison from the front would make thousands of keys differ more, and noise must not fail anybody's build.
    """
    secrets = [new_key() for _ in range(200)]
    held = tuple(Held(key=Key(id=f"k{i}", name=f"k{i}"), digest=digest(key.encode())) for i, key in enumerate(secrets))
    authenticate = Authenticate(roll_of(Records(keys=held), Records(), NOW))
    for key in secrets:
        authenticate.check(exchange(key=key))
    length, rng = len(secrets[0]), random.Random(1)
    shared = (0, length // 2, length - 1)
    took: dict[int, list[int]] = {count: [] for count in shared}
    for _ in range(1500):
        for count in rng.sample(shared, len(shared)):
            good = rng.choice(secrets)
            wrong = good[:count] + ("A" if good[count] != "A" else "B") + rng.choice(secrets)[count + 1 :]
            asked = exchange(key=wrong)
            began = time.perf_counter_ns()
            try:
                authenticate.check(asked)
            except Refused:
                took[count].append(time.perf_counter_ns() - began)
    medians = [statistics.median(times) for times in took.values()]
    assert all(len(times) == 1500 for times in took.values()), "all of them were wrong"
    assert max(medians) < 1.3 * min(medians), medians

"""Where the two keys of a request stand, in every form that clients of the reference gateways send, and how a provider's travels on."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import Refused
from gatewright.providers.auth.client_key import (
    GATEWAY_HEADERS,
    KEY_HEADERS,
    ClientKey,
    client_lines,
    gateway_key,
    provider_key,
    split_keys,
)
from gatewright.providers.auth.seam import Refusal, Unsigned

THEIRS, OURS = "sk-ant-api03-x", "gw-key"


def is_ours(key):
    return key == OURS


@pytest.mark.parametrize(
    ("beside", "joined", "header", "given"),
    list(itertools.product([True, False], [True, False], ["authorization", "x-api-key"], [True, False])),
)
def test_the_matrix_of_places(beside, joined, header, given):
    """Gateway key in a header of its own or not × joined to the provider's or not × first or second header × given at all or not."""
    headers = {header: f"Bearer {THEIRS}" if header == "authorization" else THEIRS}
    if given and joined:
        headers[header] += f";invariant-auth={OURS}"
    if given and beside:
        headers["invariant-authorization" if joined else "x-gatewright-key"] = f"Bearer {OURS}"
    assert gateway_key(headers) == (OURS if given and (beside or joined) else "")
    assert provider_key(headers, is_ours) == THEIRS


@pytest.mark.parametrize("mark", [";gatewright-auth=", ";invariant-auth=", "|invariant-auth: "])
@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer  "])
def test_both_references_joints(mark, scheme):
    """And `Bearer` once, before the first."""
    assert split_keys(f"{scheme}{THEIRS}{mark}{OURS}") == (THEIRS, OURS)


@pytest.mark.parametrize(
    "value",
    [
        f"{THEIRS};gatewright-auth=", f";gatewright-auth={OURS}", f"Bearer ;gatewright-auth={OURS}", f"{THEIRS} gatewright-auth={OURS}", f"gatewright-auth={OURS}",
        f"{THEIRS};gatewright-auth={OURS};gatewright-auth={OURS}", f"{THEIRS};invariant-auth={OURS}|invariant-auth: {OURS}", "|invariant-auth: ",
    ],
)  # fmt: skip
def test_half_of_two_is_refused(value):
    """A clear word at once; half a key is never sent anywhere."""
    with pytest.raises(Refused, match="one of the two is missing") as raised:
        split_keys(value)
    assert raised.value.problem.http_status == 400
    assert OURS not in str(raised.value)


@pytest.mark.parametrize("value", [THEIRS, f"Bearer {THEIRS}", "a-auth=b", "", "Basic dTpw", "k;other=1"])
def test_one_key_is_one_key(value):
    """Whatever is in it."""
    assert split_keys(value) is None


SCHEMES = st.sampled_from(["", "Bearer ", "bearer  ", "BEARER Bearer ", "Basic ", " "])
PARTS = st.sampled_from([OURS, THEIRS, "", " ", "gw-unknown"])
JOINTS = st.sampled_from(
    ["", ";gatewright-auth=", "; gatewright-auth =", ";invariant-auth=", "|invariant-auth: ", "| invariant-auth:", ";", "|"]
)
VALUES = st.builds(lambda *parts: "".join(parts), SCHEMES, PARTS, JOINTS, SCHEMES, PARTS, JOINTS, PARTS)
PLACES = st.sampled_from([*KEY_HEADERS, *GATEWAY_HEADERS])


@settings(max_examples=1500)
@given(st.dictionaries(PLACES, VALUES, max_size=4))
def test_whatever_is_sent_a_key_of_ours_leaves_with_no_providers(headers):
    """In any header, joined in any way, with any scheme before it: refused, or left out."""
    try:
        key = provider_key(headers, is_ours)
    except Refused:
        return
    assert not re.search(rf"(^|\W){OURS}($|\W)", key)


def test_a_key_of_ours_is_nobody_elses():
    """In none of the places, joined or not; another that is there counts."""
    for headers in (
        {"authorization": f"Bearer {OURS}"},
        {"x-gatewright-key": "gw-other", "x-api-key": OURS},
        {"x-api-key": f"{OURS};gatewright-auth={OURS}"},
        {},
    ):
        assert provider_key(headers, is_ours) == ""
    assert provider_key({"authorization": f"Bearer {OURS}", "x-api-key": THEIRS}, is_ours) == THEIRS


@pytest.mark.parametrize(
    ("auth", "key", "headers", "lines"),
    [
        ("x-api-key", "sk-ant-api03-x", b"", b"x-api-key: sk-ant-api03-x\r\n"),
        ("bearer", "sk-proj", b"", b"authorization: Bearer sk-proj\r\n"),
        ("x-goog-api-key", "AIza", b"", b"x-goog-api-key: AIza\r\n"),
        ("x-goog-api-key", "ya29.x", b"", b"authorization: Bearer ya29.x\r\n"),
        ("x-api-key", "sk-ant-oat01", b"", b"authorization: Bearer sk-ant-oat01\r\nanthropic-beta: oauth-2025-04-20\r\n"),
        (
            "x-api-key", "sk-ant-oat01", b"a: b\r\nanthropic-beta: x, y\r\nAnthropic-Beta: z\r\n",
            b"authorization: Bearer sk-ant-oat01\r\nanthropic-beta: x,y,z,oauth-2025-04-20\r\n",
        ),
        (
            "x-api-key", "sk-ant-oat01", b"anthropic-beta: oauth-2025-04-20,x\r\n",
            b"authorization: Bearer sk-ant-oat01\r\nanthropic-beta: oauth-2025-04-20,x\r\n",
        ),
    ],
)  # fmt: skip
def test_how_a_key_travels_on(auth, key, headers, lines):
    """In the provider's header; OAuth tokens as bearer, a subscription's with its flag added once."""
    assert client_lines(auth, key, headers) == lines


async def test_a_missing_key_is_the_clients_to_mend():
    """Refused, not failed: another target does not hide it, and the gateway's own requests have none."""
    own = ClientKey("claude", "x-api-key", is_ours=is_ours)
    for client in (None, {"x-api-key": OURS}):
        with pytest.raises(Refused, match=r"'claude'.*`x-api-key: <key>`.*x-gatewright-key") as raised:
            await own.sign(Unsigned("POST", "http://x", b"/", b"", b"", client))
        assert raised.value.problem.http_status == 401
    signed = await own.sign(Unsigned("POST", "http://x", b"/", b"", b"", {"x-api-key": THEIRS}))
    assert await own.refused(Unsigned("POST", "http://x", b"/", b"", b""), Refusal(401, signed)) is False
    assert own.scrub(b"text") == b"text"

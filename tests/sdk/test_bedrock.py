"""boto3's own client, unmodified, through the gateway: Converse and InvokeModel against every upstream dialect."""

from collections.abc import Callable, Iterator
from contextlib import closing

import anthropic
import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.sdk.clients import PYTHON
from tests.sdk.clients.bedrock import ConverseTalk, InvokeTalk, bearer, connect
from tests.sdk.gateway import CLIENT_KEY
from tests.sdk.scenarios import APIS, SCENARIOS, Api, Cell, counting, declined, fails, images, limited, missing_model
from tests.sdk.talk import PNG, Failed, Place, Talk, Wish
from tests.sdk.tls_gateway import serving_tls
from tests.upstreams.answers import KEYS
from tests.upstreams.server import Upstream


def _plain(talk: Callable[[Place], Talk]) -> Callable[[Place, str], Talk]:
    """A client that is no AWS SDK: it finds the authority in its environment."""
    return lambda place, _: talk(place)


TALKS: dict[str, Callable[[Place, str], Talk]] = {"bedrock_converse": ConverseTalk, "bedrock_invoke": InvokeTalk}
CLAUDE = {
    "plain": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "thinks": "us.anthropic.claude-sonnet-4-6",
    "missing": "us.anthropic.claude-nonexistent-1-v1:0",
    "limited": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
}
CLIENTS: dict[str, Callable[[Place, str], Talk]] = {**{name: _plain(talk) for name, talk in PYTHON.items()}, **TALKS}
UNLIKE_CONVERSE = (images, declined, limited, missing_model, counting)
"""Converse has no pictures by URL, no refusals, no `retry-after`, another status for unknown models; its tokens are not counted."""
ON_BEDROCK = [
    (client, api, scenario)
    for client in CLIENTS
    for api in ("bedrock_converse", "bedrock_invoke")
    for scenario in SCENARIOS
    if not (api == "bedrock_converse" and scenario in UNLIKE_CONVERSE)
    and (client, api) != ("bedrock_converse", "bedrock_invoke")  # served by Converse: nothing is translated
]
HELD = [
    (client, scenario)
    for client in TALKS
    for scenario in SCENARIOS
    if (client, scenario) != ("bedrock_converse", images)  # Converse has no pictures by URL
]


@pytest.fixture(scope="module")
def secure(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(URL, authority): a gateway in front of the strict upstream, Bedrock's two APIs for Claude included."""
    at = f"kind: bedrock, base_url: {upstream.url}, region: us-east-1, api_key: {KEYS['bedrock']}"
    more = f"  by-converse: {{{at}, dialects: [bedrock_converse]}}\n  by-invoke: {{{at}}}\n"
    names = "".join(
        f"  {api}-{kind}: {{targets: ['{provider}/{model}']}}\n"
        for api, provider in (("bedrock_converse", "by-converse"), ("bedrock_invoke", "by-invoke"))
        for kind, model in CLAUDE.items()
    )
    with serving_tls(upstream.url, tmp_path_factory.mktemp("secure"), more, names) as place:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", place[1])  # the other SDKs' way to be told whom to trust
            yield place
        connect(place[0], CLIENT_KEY, place[1]).close()
        connect.cache_clear()


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", APIS, ids=lambda api: f"to_{api}")
@pytest.mark.parametrize(("client", "scenario"), HELD, ids=lambda word: getattr(word, "__name__", word))
def test_boto3_works_against_any_upstream(
    client: str, api: Api, scenario: Callable[[Cell], None], upstream: Upstream, secure: tuple[str, str], *, stream: bool
) -> None:
    """A team keeps its boto3 code and chooses the provider it wants."""
    url, ca_file = secure

    def talk(kind: str) -> Talk:
        return TALKS[client](Place(url=url, key=CLIENT_KEY, model=f"{api}-{kind}"), ca_file)

    scenario(
        Cell(
            client=client,
            upstream_api=api,
            upstream=upstream,
            talk=talk,
            stream=stream,
            names=lambda other, kind: f"{other}-{kind}",
        )
    )


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", APIS, ids=lambda api: f"to_{api}")
def test_converse_shows_pictures_to_any_upstream(api: Api, secure: tuple[str, str], *, stream: bool) -> None:
    """As bytes, which is all that Converse has."""
    url, ca_file = secure
    talk = ConverseTalk(Place(url=url, key=CLIENT_KEY, model=f"{api}-plain"), ca_file)
    heard = talk.send("[[media]] look", Wish(stream=stream), (PNG,))
    assert f"I see image/png:{len(PNG)}." in heard.text


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("client", "api", "scenario"), ON_BEDROCK, ids=lambda word: getattr(word, "__name__", word))
def test_every_sdk_works_against_claude_on_bedrock(
    client: str, api: str, scenario: Callable[[Cell], None], upstream: Upstream, secure: tuple[str, str], *, stream: bool
) -> None:
    """By Converse and by InvokeModel, as if it were Anthropic's own API."""
    scenario(cell_on_bedrock(client, api, upstream, secure, stream=stream))


def cell_on_bedrock(client: str, api: str, upstream: Upstream, secure: tuple[str, str], *, stream: bool) -> Cell:
    url, ca_file = secure
    spoken: Api = "bedrock_converse" if api == "bedrock_converse" else "anthropic"  # type: ignore[assignment]

    def talk(kind: str) -> Talk:
        return CLIENTS[client](Place(url=url, key=CLIENT_KEY, model=f"{api}-{kind}"), ca_file)

    return Cell(
        client=client,
        upstream_api=spoken,
        upstream=upstream,
        talk=talk,
        stream=stream,
        names=lambda other, kind: f"{api if other == spoken else other}-{kind}",
    )


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", CLIENTS)
def test_what_converse_refuses_is_every_sdks_own_error(
    client: str, upstream: Upstream, secure: tuple[str, str], *, stream: bool
) -> None:
    """Throttling stays throttling; an unknown model is the request's fault, in Bedrock's words."""
    cell = cell_on_bedrock(client, "bedrock_converse", upstream, secure, stream=stream)
    assert fails(cell, "[[error:429]]", "limited").status == 429
    unknown = fails(cell, "Hi", "missing")
    assert unknown.status == 400
    assert "The provided model identifier is invalid" in unknown.message


EXCEPTIONS = [
    ("[[error:429]]", "limited", "ThrottlingException"),
    ("[[error:503]]", "plain", "ServiceUnavailableException"),
    ("[[error:500]]", "plain", "InternalServerException"),
    ("Hi", "missing", "ResourceNotFoundException"),
]


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("text", "kind", "name"), EXCEPTIONS, ids=[name for *_, name in EXCEPTIONS])
@pytest.mark.parametrize("client", TALKS)
def test_errors_are_boto3s_own_exception_classes(
    client: str, text: str, kind: str, name: str, secure: tuple[str, str], *, stream: bool
) -> None:
    """`except client.exceptions.ThrottlingException` goes on working."""
    talk = TALKS[client](Place(url=secure[0], key=CLIENT_KEY, model=f"anthropic-{kind}"), secure[1])
    with pytest.raises(Failed) as raised:
        talk.send(text, Wish(stream=stream))
    raiser = connect(secure[0], CLIENT_KEY, secure[1]).exceptions
    assert isinstance(raised.value.__cause__, getattr(raiser, name))


@pytest.mark.sdk
def test_a_request_that_is_malformed_is_a_validation_exception(secure: tuple[str, str]) -> None:
    """With the words of whoever refused it."""
    client = connect(secure[0], CLIENT_KEY, secure[1])
    body = '{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": []}'
    with bearer(CLIENT_KEY), pytest.raises(client.exceptions.ValidationException, match="messages"):
        client.invoke_model(modelId="anthropic-plain", body=body)


@pytest.mark.sdk
@pytest.mark.parametrize("client", TALKS)
def test_a_wrong_key_is_told_in_awss_words(client: str, secure: tuple[str, str]) -> None:
    """The message says what to send."""
    talk = TALKS[client](Place(url=secure[0], key="not-the-key", model="anthropic-plain"), secure[1])
    with closing(connect(secure[0], "not-the-key", secure[1])), pytest.raises(Failed, match="not known here") as raised:
        talk.send("Hi", Wish())
    assert (raised.value.status, raised.value.kind) == (403, "UnrecognizedClientException")


@pytest.mark.sdk
def test_a_client_that_signs_is_told_to_bring_the_key_instead(gateway: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 with an AWS account's keys, over plain HTTP, as it stands in many a container."""
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    signing = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=gateway,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with closing(signing), pytest.raises(ClientError, match="AWS_BEARER_TOKEN_BEDROCK") as raised:
        signing.converse(modelId="anthropic-plain", messages=[{"role": "user", "content": [{"text": "Hi"}]}])
    assert raised.value.response["Error"]["Code"] == "UnrecognizedClientException"


@pytest.mark.sdk
@pytest.mark.parametrize("prefix", ["", "/bedrock"])
def test_names_with_colons_and_slashes_reach_their_model(prefix: str, upstream: Upstream, secure: tuple[str, str]) -> None:
    """`provider/model` with a version: boto3 percent-encodes it, the gateway undoes that once."""
    client = connect(secure[0] + prefix, CLIENT_KEY, secure[1])
    with closing(client), bearer(CLIENT_KEY):
        answer = client.converse(
            modelId=f"by-converse/{CLAUDE['plain']}", messages=[{"role": "user", "content": [{"text": "Hi"}]}]
        )
    connect.cache_clear()
    assert "heard: Hi" in answer["output"]["message"]["content"][0]["text"]
    assert upstream.requests[-1].path == "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", [*APIS, "bedrock_converse", "bedrock_invoke"])
def test_anthropics_own_client_for_bedrock_works_against_any_upstream(api: str, secure: tuple[str, str], *, stream: bool) -> None:
    """What Claude Code uses in its Bedrock mode, in Python."""
    with anthropic.AnthropicBedrock(api_key=CLIENT_KEY, base_url=f"{secure[0]}/bedrock", aws_region="x", max_retries=0) as client:
        asked = {"model": f"{api}-plain", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
        if stream:
            with client.messages.stream(**asked) as events:  # type: ignore[arg-type]
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**asked)  # type: ignore[call-overload]
    assert "heard: Hello" in answer.content[0].text
    assert (answer.stop_reason, answer.usage.output_tokens) == ("end_turn", 17)

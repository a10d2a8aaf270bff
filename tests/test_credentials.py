"""The composition of credentials: each kind of configuration becomes its credential, and one key none."""

import pytest

from gatewright.config.credentials import AwsConfig, ClientConfig, EntraConfig, GoogleConfig, PoolConfig
from gatewright.config.model import ProviderConfig
from gatewright.config.secrets import Secret
from gatewright.credentials import credential_of, fetch_for
from gatewright.providers.auth.aws import AwsCredential
from gatewright.providers.auth.aws_sources import AwsSettings
from gatewright.providers.auth.bearer import BearerToken
from gatewright.providers.auth.client_key import ClientKey
from gatewright.providers.auth.pool import KeyPool
from gatewright.providers.auth.sigv4 import Keys
from tests.identity import service_account, serving


def config(credential, **more):
    bases = {"openai_chat": "http://x/v1"}
    return ProviderConfig(
        name="p", kind="custom", dialects=("openai_chat",), bases=bases, auth="bearer", credential=credential, **more
    )


@pytest.mark.parametrize(
    ("credential", "kind", "account"),
    [
        (PoolConfig(keys=(Secret("a"), Secret("b"))), KeyPool, None),
        (ClientConfig(), ClientKey, None),
        (GoogleConfig(document=Secret(service_account("https://x/t")), source="file"), BearerToken, "bot@proj.iam.gserviceaccount.com (file)"),
        (GoogleConfig(), BearerToken, "the machine's service account (the metadata server)"),
        (EntraConfig(tenant="t", client="c", secret=Secret("s")), BearerToken, "application c in tenant t"),
    ],
)  # fmt: skip
def test_each_configuration_is_its_credential(credential, kind, account):
    """With the provider's name and, where there is one, the account's."""
    made = credential_of(config(credential), {}, lambda _: False)
    assert type(made) is kind
    assert made.provider == "p"
    assert getattr(made, "account", None) == account


def test_one_key_needs_none():
    """The endpoint has its lines ready."""
    assert credential_of(config(None), {}, lambda _: False) is None


def test_an_aws_account_signs_with_what_the_section_says():
    """Keys, role and region reach the signer; secrets are revealed to it alone."""
    told = AwsConfig(
        region="eu-west-1",
        access_key_id=Secret("AKIA1"),
        secret_access_key=Secret("shh"),
        session_token=Secret("tok"),
        role_arn="arn:r",
        external_id="e",
        role_session_name="s",
    )
    made = credential_of(config(told), {}, lambda _: False)
    assert isinstance(made, AwsCredential)
    assert made.settings == AwsSettings("eu-west-1", Keys("AKIA1", "shh", "tok"), "", "arn:r", "e", "s")
    chain = credential_of(config(AwsConfig(region="r", profile="p")), {}, lambda _: False)
    assert chain.settings == AwsSettings("r", None, "p")


async def test_issuers_are_asked_by_the_providers_proxy():
    """One way out for all that concerns a provider."""
    seen = []

    def answer(asked):
        seen.append(asked)
        return 200, {}

    async with serving(answer) as port:
        await fetch_for(config(None, proxy=f"http://127.0.0.1:{port}"), {})("GET", "http://issuer.example/t")
        await fetch_for(config(None), {"http_proxy": f"http://127.0.0.1:{port}"})("GET", "http://issuer.example/t")
    assert [asked.headers["host"] for asked in seen] == ["issuer.example"] * 2

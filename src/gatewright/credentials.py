"""From what the configuration says of a provider's credential to the credential: part of the composition root.

One rule: here is where clocks, chance and the way to the network come from; credentials themselves have none.
"""

import random
import time
from collections.abc import Callable, Mapping
from typing import assert_never

from gatewright.config import ProviderConfig
from gatewright.config.credentials import AccountsConfig, AwsConfig, ClientConfig, EntraConfig, GoogleConfig, PoolConfig
from gatewright.config.secrets import Secret
from gatewright.logins import accounts_credential
from gatewright.providers.auth.aws import AwsCredential
from gatewright.providers.auth.aws_sources import AwsSettings, AwsSources
from gatewright.providers.auth.client_key import ClientKey
from gatewright.providers.auth.entra import Entra, entra_credential
from gatewright.providers.auth.google import google_credential
from gatewright.providers.auth.pool import KeyPool
from gatewright.providers.auth.seam import Credential
from gatewright.providers.auth.sigv4 import Keys
from gatewright.stores.accounts import AccountStore
from gatewright.transport.plain_fetch import PlainFetch


def fetch_for(config: ProviderConfig, environ: Mapping[str, str]) -> PlainFetch:
    """The way to servers that issue credentials for a provider: by its proxy, with its authorities."""
    return PlainFetch(environ, proxy=config.proxy, ca_file=config.ca_file, verify=config.verify_tls)


def credential_of(
    config: ProviderConfig, environ: Mapping[str, str], is_ours: Callable[[str], bool], book: AccountStore | None = None
) -> Credential | None:
    """None where one fixed key, or nothing, is all there is. `is_ours`: whether a key is a client key of this gateway.
    `book`: the accounts that people logged in with, for providers that use them.
    """
    credential = config.credential
    match credential:
        case None:
            return None
        case PoolConfig():
            keys = [key.reveal() for key in credential.keys]
            return KeyPool(config.name, config.auth, keys, clock=time.monotonic)
        case ClientConfig():
            return ClientKey(config.name, config.auth, is_ours=is_ours)
        case GoogleConfig():
            return google_credential(
                config.name,
                _revealed(credential.document) or None,
                credential.source,
                scope=credential.scope,
                metadata_host=credential.metadata_host,
                fetch=fetch_for(config, environ),
                clock=time.time,
                chance=random.random,
            )
        case AwsConfig():
            settings = aws_settings(credential)
            sources = AwsSources(settings, environ, fetch_for(config, environ), time.time)
            return AwsCredential(config.name, settings, sources, now=time.time, chance=random.random)
        case EntraConfig():
            entra = Entra(
                tenant=credential.tenant,
                client=credential.client,
                secret=_revealed(credential.secret),
                certificate=_revealed(credential.certificate),
                token_file=credential.token_file or "",
                authority=credential.authority,
                scope=credential.scope,
                identity_endpoint=credential.identity_endpoint,
                identity_header=_revealed(credential.identity_header),
                metadata_host=credential.metadata_host,
            )
            fetch = fetch_for(config, environ)
            return entra_credential(config.name, entra, fetch=fetch, clock=time.time, chance=random.random)
        case AccountsConfig():
            assert book is not None, "whoever reads the configuration opens the accounts"
            return accounts_credential(config, credential, book, fetch_for(config, environ))
        case _:
            assert_never(credential)


def aws_settings(config: AwsConfig) -> AwsSettings:
    """As the configuration has them, the secrets revealed."""
    key, secret = _revealed(config.access_key_id), _revealed(config.secret_access_key)
    return AwsSettings(
        region=config.region,
        keys=Keys(key, secret, _revealed(config.session_token)) if key else None,
        profile=config.profile,
        role_arn=config.role_arn,
        external_id=config.external_id,
        session_name=config.role_session_name,
    )


def _revealed(secret: Secret | None) -> str:
    return secret.reveal() if secret is not None else ""

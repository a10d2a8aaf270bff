"""From what the configuration says of a provider's credential to the credential: part of the composition root.

One rule: here is where clocks, chance and the way to the network come from; credentials themselves have none.
"""

import random
import time
from collections.abc import Callable, Mapping
from typing import assert_never

from gatewright.config import ProviderConfig
from gatewright.config.credentials import ClientConfig, EntraConfig, GoogleConfig, PoolConfig
from gatewright.config.secrets import Secret
from gatewright.providers.auth.client_key import ClientKey
from gatewright.providers.auth.entra import Entra, entra_credential
from gatewright.providers.auth.google import google_credential
from gatewright.providers.auth.pool import KeyPool
from gatewright.providers.auth.seam import Credential
from gatewright.transport.plain_fetch import PlainFetch


def fetch_for(config: ProviderConfig, environ: Mapping[str, str]) -> PlainFetch:
    """The way to servers that issue credentials for a provider: by its proxy, with its authorities."""
    return PlainFetch(environ, proxy=config.proxy, ca_file=config.ca_file, verify=config.verify_tls)


def credential_of(config: ProviderConfig, environ: Mapping[str, str], is_ours: Callable[[str], bool]) -> Credential | None:
    """None where one fixed key, or nothing, is all there is. `is_ours`: whether a key is a client key of this gateway."""
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
        case _:
            assert_never(credential)


def _revealed(secret: Secret | None) -> str:
    return secret.reveal() if secret is not None else ""

"""Accounts that people log in with, put together: the store, its key, the credential. Part of the composition root.

One rule: the store is opened only where a provider uses logins; everything else costs nothing and needs no key.
"""

import random
import time
from collections.abc import Mapping
from pathlib import Path

from gatewright.config import Config, ProviderConfig
from gatewright.config.credentials import AccountsConfig
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.oauth.credential import AccountsCredential
from gatewright.stores.accounts import PURPOSE, AccountStore
from gatewright.stores.logins import FILE_NAME
from gatewright.stores.sealed import Sealer, secret_key


def open_accounts(state_dir: str, environ: Mapping[str, str]) -> AccountStore:
    """The accounts in the state folder. Raises BadKey."""
    folder = Path(state_dir)
    return AccountStore(folder / FILE_NAME, Sealer(secret_key(folder, environ), PURPOSE))


def accounts_of(config: Config, environ: Mapping[str, str]) -> AccountStore | None:
    """The accounts, where a provider uses them. Raises BadKey."""
    if any(isinstance(provider.credential, AccountsConfig) for provider in config.providers.values()):
        return open_accounts(config.server.state_dir, environ)
    return None


def accounts_credential(config: ProviderConfig, logins: AccountsConfig, book: AccountStore, fetch: Fetch) -> AccountsCredential:
    """The credential of one provider."""
    return AccountsCredential(
        config.name,
        logins.description,
        book,
        fetch,
        rotation=logins.rotation,
        clock=time.time,
        chance=random.random,
    )

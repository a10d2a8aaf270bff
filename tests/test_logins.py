"""Accounts, put together: nothing is opened or made where no provider uses logins."""

import pytest

from gatewright.config import load_config
from gatewright.credentials import credential_of
from gatewright.logins import accounts_of
from gatewright.providers.oauth.credential import AccountsCredential
from gatewright.stores.sealed import BadKey


def loaded(tmp_path, providers: str):
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"providers: {{{providers}}}\nserver: {{state_dir: state}}\n")
    return load_config(file, {})


def test_without_logins_nothing_is_made(tmp_path):
    """No key, no file, no folder."""
    assert accounts_of(loaded(tmp_path, "openai: {api_key: x}"), {}) is None
    assert not (tmp_path / "state").exists()


async def test_with_logins_the_key_is_made_and_the_store_opened(tmp_path):
    """In the state folder."""
    book = accounts_of(loaded(tmp_path, "ob1: "), {})
    assert await book.all() == ()
    assert sorted(file.name for file in (tmp_path / "state").iterdir() if "-" not in file.name) == ["accounts.db", "secret_key"]
    await book.close()


def test_a_key_that_cannot_be_used_is_told_at_the_start(tmp_path):
    """Not at the first call."""
    with pytest.raises(BadKey):
        accounts_of(loaded(tmp_path, "ob1: "), {"GATEWRIGHT_SECRET_KEY": "short"})


async def test_a_provider_with_logins_gets_their_credential(tmp_path):
    """With the rotation that its section says."""
    config = loaded(tmp_path, "ob1: {rotation: random}")
    book = accounts_of(config, {})
    made = credential_of(config.providers["ob1"], {}, lambda _: False, book)
    assert isinstance(made, AccountsCredential)
    assert (made.provider, made.description.name) == ("ob1", "ob1")
    await made.close()
    await book.close()

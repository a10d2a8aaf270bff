"""Where somebody has logged in."""

from gatewright.account import Tokens
from gatewright.stores.accounts import PURPOSE, AccountStore
from gatewright.stores.logins import FILE_NAME, logged_in
from gatewright.stores.sealed import Sealer


async def test_providers_with_an_account_are_named_without_a_key(tmp_path):
    """Also while a gateway has the file open."""
    store = AccountStore(tmp_path / FILE_NAME, Sealer(b"k" * 43, PURPOSE))
    tokens = Tokens(access="a", obtained_at=0)
    for provider, name in (("ob1", "ann"), ("ob1", "bob"), ("a b?#", "cat")):
        await store.add(provider, name, tokens, {})
    assert logged_in(tmp_path) == ("a b?#", "ob1")
    await store.close()
    assert logged_in(tmp_path) == ("a b?#", "ob1")


def test_nothing_is_made_and_nothing_raised(tmp_path):
    """At every start, also of those who never log in."""
    assert logged_in(tmp_path / "nowhere") == ()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 100)
    assert logged_in(tmp_path) == ()

"""`gatewright accounts`, as a person runs it."""

import json
import sqlite3
from contextlib import asynccontextmanager

import msgspec
from tests.plays.accounts_desk import command, config, log_in, stage

from gatewright.account import Account, Tokens
from gatewright.cli.accounts import ends_in, row_of

NOW = 1_700_000_000.0
ANN = Account(
    id="1",
    provider="ob1",
    name="ann",
    tokens=Tokens(access="at-1", refresh="rt-1", obtained_at=NOW, expires_at=NOW + 3000),
    identity={"org_id": "o"},
)


@asynccontextmanager
async def desk(tmp_path):
    """Ann is logged in."""
    async with stage() as (workos, ob1):
        file = tmp_path / "gatewright.yaml"
        file.write_text(config(workos, ob1))

        async def run(*words, **given):
            return await command(tmp_path, "accounts", *words, "--config", str(file), **given)

        await log_in(tmp_path, workos, ob1)
        yield workos, ob1, run


async def test_the_list_tells_how_accounts_stand(tmp_path):
    """For people and for machines, without a token."""
    async with desk(tmp_path) as (_, _, run):
        code, out, _ = await run("list")
        assert code == 0
        assert out.splitlines()[0].split() == ["provider", "account", "state", "token", "ends"]
        assert out.splitlines()[1].split() == ["ob1", "ann@example.com", "Seven", "active", "in", "60", "min"]
        (row,) = json.loads((await run("list", "ob1", "--json"))[1])
        assert (row["state"], row["refreshable"], row["rests_s"], row["reason"]) == ("active", True, 0, None)
        assert "at-ann" not in json.dumps(row)
        assert (await run("list", "other"))[1:] == ("", "nobody is logged in to other; log in with: gatewright login (ob1)\n")


async def test_refresh_now_and_what_it_says(tmp_path):
    """Whether or not the token is about to end."""
    async with desk(tmp_path) as (workos, _, run):
        assert (await run("refresh"))[:2] == (0, "ob1: ann@example.com: refreshed\n")
        assert workos.refreshes == ["rt-ann-1"]
        assert (await run("refresh", "ob1", "ann@example.com", "--json"))[0] == 0
        workos.revoke("rt-ann-3")
        code, out, err = await run("refresh", "ob1")
        assert (code, out) == (1, "")
        assert "Refresh token already exchanged" in err
        assert "gatewright login ob1" in err
        assert "rt-ann" not in err
        _, out, _ = await run("list")
        assert "needs login" in out
        assert (await run("refresh", "ob1", "bob"))[0] == 2


async def test_a_lost_account_that_is_refreshed_after_all_works_again(tmp_path):
    """The identity server was wrong, or an administrator has changed his mind."""
    async with desk(tmp_path) as (_, _, run):
        with sqlite3.connect(tmp_path / "accounts.db") as db:
            db.execute("update accounts set state = 'needs_login', reason = 'it said so'")
        assert (await run("refresh"))[0] == 0
        (row,) = json.loads((await run("list", "--json"))[1])
        assert (row["state"], row["reason"]) == ("active", None)


async def test_remove_asks_unless_told(tmp_path):
    """A script must say so."""
    async with desk(tmp_path) as (_, _, run):
        code, _, err = await run("remove", "ob1", "ann@example.com")
        assert (code, err) == (1, "not removed; say --yes to remove without being asked\n")
        assert (await run("remove", "ob1", "anna", "--yes"))[::2] == (
            2,
            'ob1 has no account "anna"; known: ann@example.com\n',
        )
        (row,) = json.loads((await run("list", "--json"))[1])
        assert (await run("remove", "ob1", row["id"], "--yes"))[:2] == (0, "ob1: ann@example.com: removed\n")
        assert json.loads((await run("list", "--json"))[1]) == []


async def test_export_and_import_again(tmp_path):
    """Masked unless asked; what is there already stays unless asked."""
    async with desk(tmp_path) as (_, _, run):
        masked = (await run("export"))[1]
        assert "at-ann" not in masked
        assert "rt-ann" not in masked
        revealed = (await run("export", "ob1", "--reveal"))[1]
        assert "rt-ann-1" in revealed
        code, _, err = await run("import", "-", given=masked.encode())
        assert (code, err) == (1, "stdin: accounts[0]: the tokens are masked; export them with --reveal\n")
        assert (await run("import", "-", given=revealed.encode()))[:2] == (
            0,
            "ob1: ann@example.com: is there already; --replace takes these tokens instead\n",
        )
        assert (await run("import", "-", "--replace", given=revealed.encode()))[:2] == (0, "ob1: ann@example.com: imported\n")
        await run("remove", "ob1", "ann@example.com", "--yes")
        assert (await run("import", "-", given=revealed.encode()))[:2] == (0, "ob1: ann@example.com: imported\n")
        assert json.loads((await run("export", "--reveal"))[1]) == json.loads(revealed)


async def test_other_programs_accounts_are_brought_in(tmp_path):
    """OB-1's own login, from where it lies; and ob12api's."""
    async with desk(tmp_path) as (workos, _, run):
        granted = workos.grant("bob")
        home = tmp_path / ".ob1" / "credentials.json"
        home.parent.mkdir()
        oauth = {"access_token": "old", "refresh_token": granted["refresh_token"], "expires_at": 1000, "user": granted["user"]}
        home.write_text(json.dumps({"oauth": {**oauth, "organization_id": "org_7"}}))
        assert (await run("import"))[:2] == (0, "ob1: bob@example.com: imported\n")
        assert (await run("refresh", "ob1", "bob@example.com"))[0] == 0
        theirs = tmp_path / "accounts.json"
        theirs.write_text(
            json.dumps([{"email": "cat@x", "access_token": "a", "refresh_token": "r", "expires_at": 1, "org_id": "o"}])
        )
        assert (await run("import", str(theirs)))[:2] == (0, "ob1: cat@x: imported\n")


async def test_documents_that_cannot_be_imported(tmp_path):
    """Named, with exit code 1, and nothing of them is taken."""
    async with desk(tmp_path) as (_, _, run):
        good = {"email": "a", "access_token": "a", "refresh_token": "r"}
        for text, told_so in (
            (b"{", "stdin: not JSON"),
            (b"[" * 5000, "stdin: not JSON"),
            (b"{}", "stdin: expected a list"),
            (json.dumps([good, {}]).encode(), "stdin: accounts[1]: expected"),
        ):
            code, out, err = await run("import", "-", given=text)
            assert (code, out) == (1, "")
            assert told_so in err
        code, _, err = await run("import", str(tmp_path / "nowhere.json"))
        assert code == 1
        assert "nowhere.json: cannot be read" in err
        assert (await run("import"))[0] == 1
        assert len(json.loads((await run("list", "--json"))[1])) == 1


async def test_another_secret_key_is_told_and_harms_nothing(tmp_path):
    """The accounts are there, and cannot be opened."""
    async with desk(tmp_path) as (_, _, run):
        other = {"GATEWRIGHT_SECRET_KEY": "z" * 40}
        (row,) = json.loads((await run("list", "--json", environ=other))[1])
        assert row["state"] == "unreadable"
        assert "another secret key" in row["reason"]
        code, _, err = await run("export", "--reveal", environ=other)
        assert code == 1
        assert "cannot be opened: ann@example.com" in err
        assert (await run("refresh", environ=other))[0] == 1
        (row,) = json.loads((await run("list", "--json"))[1])
        assert row["state"] == "active"


def test_states_in_words():
    """Short enough for a table."""
    for change, shown in (
        ({}, "active"),
        ({"cool_until": NOW + 30}, "rests 30 s"),
        ({"state": "needs_login", "cool_until": NOW + 30}, "needs login"),
        ({"state": "unreadable", "tokens": None}, "unreadable"),
        ({"pending_since": NOW - 5}, "active"),
        ({"pending_since": NOW - 500}, "refresh unanswered"),
    ):
        assert row_of(msgspec.structs.replace(ANN, **change), NOW)["shown"] == shown


def test_ends_in_words():
    """As a person would say it."""

    def at(left):
        tokens = None if left is None else msgspec.structs.replace(ANN.tokens, expires_at=NOW + left)
        return ends_in(msgspec.structs.replace(ANN, tokens=tokens), NOW)

    said = [at(left) for left in (5, 119, 121, 3000, 7300, 3 * 86_400, -30, -7300, None)]
    assert said == ["in 5 s", "in 119 s", "in 2 min", "in 50 min", "in 2 h", "in 3 days", "30 s ago", "2 h ago", "?"]
    forever = msgspec.structs.replace(ANN.tokens, expires_at=None)
    assert ends_in(msgspec.structs.replace(ANN, tokens=forever), NOW) == "never"

"""`gatewright login`, as a person runs it, against a loopback identity server."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from contextlib import asynccontextmanager

import pytest
from tests.plays.accounts_desk import command, config, environment, process, stage

from gatewright.cli.login import can_open
from gatewright.transport.plain_fetch import PlainFetch


@asynccontextmanager
async def desk(tmp_path, more: str = ""):
    async with stage() as (workos, ob1):
        file = tmp_path / "gatewright.yaml"
        text = config(workos, ob1)
        file.write_text(text.replace("oauth: {", f"oauth: {{{more}") if more else text)

        async def run(*words, **given):
            return await command(tmp_path, *words, "--config", str(file), **given)

        yield workos, ob1, run


async def test_the_result_goes_to_stdout_and_the_code_to_stderr(tmp_path):
    """So that a script can read the one while a person reads the other."""
    async with desk(tmp_path) as (_, _, run):
        code, out, err = await run("login", "ob1", "--json")
        assert code == 0
        told = json.loads(out)
        assert (told["provider"], told["name"], told["replaced"]) == ("ob1", "ann@example.com", False)
        assert "ABCD-EFGH" in err
        code, out, _ = await run("login", "ob1", "--name", "work")
        assert (code, out) == (0, "ob1: logged in as work (Seven)\n")


@pytest.mark.parametrize(("poll", "told_so"), [("access_denied", "access_denied"), ("expired_token", "expired_token")])
async def test_a_refusal_is_told_with_the_provider_and_exit_code_1(poll, told_so, tmp_path):
    """Nothing is kept."""
    async with desk(tmp_path) as (workos, _, run):
        workos.polls = [poll]
        code, out, err = await run("login", "ob1")
        assert (code, out) == (1, "")
        assert "the login to ob1 failed: 127.0.0.1" in err
        assert told_so in err
        assert "Traceback" not in err
        assert json.loads((await run("accounts", "list", "--json"))[1]) == []


async def test_ctrl_c_is_clean(tmp_path):
    """No traceback, no account, the usual exit code."""
    async with desk(tmp_path) as (workos, _, _run):
        workos.interval = 30
        started = await process(tmp_path, "login", "ob1", "--config", str(tmp_path / "gatewright.yaml"))
        err = b""
        while b"Waiting" not in err:
            err += await asyncio.wait_for(started.stderr.readline(), 20)
        started.send_signal(signal.SIGINT)
        out, rest = await asyncio.wait_for(started.communicate(), 20)
        assert (started.returncode, out) == (130, b"")
        assert rest == b"\ngiven up; nothing was kept\n"


async def test_the_organisation_can_be_chosen(tmp_path):
    """The first is taken, and the others are named."""
    async with desk(tmp_path) as (_, ob1, run):
        ob1.organizations.append({"organizationId": "org_8", "organizationName": "Eight"})
        code, out, err = await run("login", "ob1")
        assert (code, out) == (0, "ob1: logged in as ann@example.com (Seven)\n")
        assert "using the organization Seven; others, with --choose: Eight" in err
        assert (await run("login", "ob1", "--choose", "Eight"))[1] == "ob1: logged in as ann@example.com (Eight) again\n"
        code, _, err = await run("login", "ob1", "--choose", "Nine")
        assert code == 1
        assert 'no organization "Nine"; there are: org_7 Seven, org_8 Eight' in err


async def test_an_api_that_tells_no_organisation_does_not_end_the_login(tmp_path):
    """The token alone may do."""
    async with desk(tmp_path) as (_, ob1, run):
        ob1.organizations = None
        code, out, err = await run("login", "ob1")
        assert (code, out) == (0, "ob1: logged in as ann@example.com\n")
        assert "going on without" in err


async def test_a_login_by_browser_with_pkce(tmp_path):
    """The browser comes back to this machine; here a fetch that follows by hand is the browser."""
    async with desk(tmp_path, "authorize_url: 'AUTHORIZE', ") as (workos, _, _run):
        file = tmp_path / "gatewright.yaml"
        file.write_text(file.read_text().replace("AUTHORIZE", f"{workos.url}/authorize"))
        started = await process(tmp_path, "login", "ob1", "--flow", "browser", "--config", str(file))
        told = b""
        while not (found := re.search(rb"  (http://\S+)\n", told)):
            told += await asyncio.wait_for(started.stderr.readline(), 20)
        _, headers, _ = await PlainFetch({})("GET", found[1].decode())
        assert headers["location"].startswith("http://127.0.0.1:")
        status, _, _ = await PlainFetch({})("GET", headers["location"])
        assert status == 200
        out, err = await asyncio.wait_for(started.communicate(), 20)
        assert (started.returncode, out) == (0, b"ob1: logged in as ann@example.com (Seven)\n"), err


async def test_words_that_lead_nowhere(tmp_path):
    """Exit code 2, and what there is instead."""
    async with desk(tmp_path) as (_, _, run):
        assert (await run("login", "ob2"))[::2] == (2, 'unknown provider "ob2"; did you mean "ob1"?\n')
        code, _, err = await run("login", "ob1", "--flow", "browser")
        assert (code, err) == (2, 'ob1 has no login by "browser"; it has: device\n')
    (tmp_path / "gatewright.yaml").write_text("providers: {openai: {api_key: x}}")
    code, _, err = await command(tmp_path, "login", "openai", "--config", str(tmp_path / "gatewright.yaml"))
    assert code == 2
    assert 'provider "openai" has no logins, it uses a key (see "api_key"); with logins: ob1' in err


async def test_a_store_that_cannot_be_used_is_told_before_anybody_confirms(tmp_path):
    """Else the login would be made and lost."""
    async with desk(tmp_path) as (workos, _, run):
        (tmp_path / "accounts.db").write_bytes(b"no database" * 999)
        code, _, err = await run("login", "ob1")
        assert code == 1
        assert "accounts.db" in err
        assert workos.seen == []
        (tmp_path / "accounts.db").unlink()
        code, _, err = await run("login", "ob1", environ={"GATEWRIGHT_SECRET_KEY": "short"})
        assert code == 1
        assert "GATEWRIGHT_SECRET_KEY is too short" in err


def test_a_browser_is_opened_only_where_somebody_sees_it():
    """In a terminal without a screen it would take the terminal over."""
    assert can_open({"DISPLAY": ":0"}, "linux")
    assert can_open({}, "darwin")
    assert not can_open({}, "linux")
    assert not can_open({"DISPLAY": ":0", "SSH_CONNECTION": "x"}, "linux")
    with contextlib.suppress(KeyError):
        assert not can_open({"CI": "true"}, "darwin")


async def test_serve_says_what_is_wrong_with_the_key_of_the_accounts(tmp_path):
    """In one line, with the exit code of a configuration that cannot be used."""
    (tmp_path / "gatewright.yaml").write_text("providers: {ob1: }\n")
    words = ("serve", "--quiet", "--config", str(tmp_path / "gatewright.yaml"))
    code, _, err = await command(tmp_path, *words, environ={"GATEWRIGHT_SECRET_KEY": "short"})
    assert code == 2
    assert err.startswith("GATEWRIGHT_SECRET_KEY is too short")


async def test_on_a_terminal_the_time_left_is_told(tmp_path):
    """On one line, which is gone when it is over."""
    async with desk(tmp_path) as (workos, _, _run):
        workos.interval = 1
        mine, theirs = os.openpty()
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gatewright", "login", "ob1", "--config", str(tmp_path / "gatewright.yaml"),
            stdout=asyncio.subprocess.PIPE, stderr=theirs, env=environment(tmp_path),
        )  # fmt: skip
        os.close(theirs)
        out, _ = await asyncio.wait_for(started.communicate(), 20)
        shown = os.read(mine, 100_000).decode()
        os.close(mine)
        assert out == b"ob1: logged in as ann@example.com (Seven)\n"
        assert re.search(r"\rWaiting until it is confirmed \(\d:\d\d left, Ctrl-C gives up\) ", shown)
        assert shown.endswith("\r\x1b[K")

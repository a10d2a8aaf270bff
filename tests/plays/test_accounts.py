"""Accounts from the login to the call, in real processes: expiry, floods, kills and rivals."""

import asyncio
import json
import signal
import sqlite3
import time

import pytest

from tests.plays.accounts_desk import ask, command, config, kept, log_in, process, stage
from tests.plays.workos import CLIENT_ID, told
from tests.server.test_process import served
from tests.serving import answer, call, gateway, upstream


async def test_from_login_to_the_call_of_an_anthropic_client(tmp_path):
    """Device login, organisation look-up, `token:org`, another dialect, and the answer."""
    async with stage() as (workos, ob1):
        workos.polls = ["authorization_pending"]
        file = tmp_path / "login.yaml"
        file.write_text(config(workos, ob1))
        out, err = await (await process(tmp_path, "login", "ob1", "--config", str(file))).communicate()
        assert out == b"ob1: logged in as ann@example.com (Seven)\n", err
        async with gateway(config(workos, ob1), tmp_path) as gw:
            answer = await ask(gw.port)
        assert answer.status == 200, answer.body
        assert json.loads(answer.body)["content"] == [{"type": "text", "text": "pong"}]
        assert ob1.bearers == ["at-ann-1:org_7"]
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or b"rt-ann" not in file.read_bytes(), file


async def test_expiry_in_mid_flight_under_a_hundred_calls_is_one_refresh(tmp_path):
    """The API finds the token expired while we think it good: everybody is served all the same."""
    async with stage() as (workos, ob1):
        await log_in(tmp_path, workos, ob1)
        workos.grace_s = 0
        async with gateway(config(workos, ob1), tmp_path) as gw:
            assert (await ask(gw.port)).status == 200
            workos.valid.clear()
            answers = await asyncio.gather(*(ask(gw.port) for _ in range(100)))
        assert [answer.status for answer in answers] == [200] * 100
        assert workos.refreshes == ["rt-ann-1"]
        assert ob1.bearers[-1] == "at-ann-2:org_7"
        assert kept(tmp_path) == [("ann@example.com", 2, "active", 1)]


async def test_a_token_that_ended_while_nobody_called_is_one_refresh(tmp_path):
    """By our own clock this time: no call is wasted on it."""
    async with stage() as (workos, ob1):
        workos.life_s = 0
        await log_in(tmp_path, workos, ob1)
        workos.grace_s = 0
        workos.life_s = 3600
        async with gateway(config(workos, ob1), tmp_path) as gw:
            answers = await asyncio.gather(*(ask(gw.port) for _ in range(100)))
        assert {answer.status for answer in answers} == {200}
        assert workos.refreshes == ["rt-ann-1"]
        assert set(ob1.bearers) == {"at-ann-2:org_7"}


async def test_killed_between_refresh_and_save(tmp_path):
    """The identity server has answered, the disk has not: the next process asks again within the grace and loses nothing."""
    async with stage() as (workos, ob1):
        workos.life_s = 0
        await log_in(tmp_path, workos, ob1)
        workos.life_s = 3600
        disk = sqlite3.connect(tmp_path / "accounts.db", isolation_level=None)
        told_it = asyncio.Event()

        async def hold_the_disk(token: str) -> None:
            disk.execute("begin immediate")  # what is granted now cannot be saved
            told_it.set()

        workos.hook = hold_the_disk
        async with served(tmp_path, config(workos, ob1)) as first:
            await asyncio.wait_for(told_it.wait(), 20)
            await asyncio.sleep(0.3)  # the answer has arrived, and saving waits for the disk
            first.process.send_signal(signal.SIGKILL)
            await first.stopped(5)
        disk.execute("rollback")
        assert kept(tmp_path) == [("ann@example.com", 1, "active", 0)]
        assert workos.refreshes == ["rt-ann-1"]
        workos.hook = None
        async with served(tmp_path, config(workos, ob1)) as second:
            answer = await ask(second.port)
            assert answer.status == 200, answer.body
            assert ob1.bearers == ["at-ann-2:org_7"]
            assert workos.refreshes == ["rt-ann-1", "rt-ann-1"]
            assert kept(tmp_path) == [("ann@example.com", 2, "active", 1)]
        disk.close()


async def test_killed_between_refresh_and_save_and_the_server_knows_no_grace(tmp_path):
    """Then the login is lost, and that is said: why, whose, and what to do. No token is shown."""
    async with stage() as (workos, ob1):
        workos.life_s = 0
        workos.grace_s = 0
        await log_in(tmp_path, workos, ob1)
        workos.life_s = 3600
        heard = asyncio.Event()

        async def no_answer(token: str) -> None:
            heard.set()
            await asyncio.sleep(30)

        workos.hook = no_answer
        async with served(tmp_path, config(workos, ob1)) as first:
            await asyncio.wait_for(heard.wait(), 20)
            first.process.send_signal(signal.SIGKILL)
            await first.stopped(5)
        workos.hook = None
        async with served(tmp_path, config(workos, ob1)) as second:
            answer = await ask(second.port)
        message = json.loads(answer.body)["error"]["message"]
        assert answer.status == 502
        for part in ("'ob1'", "ann@example.com", "by a process that ended", "gatewright login ob1"):
            assert part in message
        assert "rt-ann" not in message
        code, out, _ = await command(tmp_path, "accounts", "list", "--json")
        assert code == 0
        assert json.loads(out)[0]["state"] == "needs_login"
        await log_in(tmp_path, workos, ob1)
        assert kept(tmp_path) == [("ann@example.com", 2, "active", 1)]


async def test_two_processes_use_a_rotating_token_once(tmp_path):
    """Workers, or two gateways over one state folder: the second use would be the end of the login."""
    async with stage() as (workos, ob1):
        workos.life_s = 0
        await log_in(tmp_path, workos, ob1)
        workos.grace_s = 0
        workos.life_s = 3600
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        shared = f"\nserver: {{state_dir: '{tmp_path}'}}\n"
        yaml = config(workos, ob1) + shared
        async with served(tmp_path / "one", yaml) as one, served(tmp_path / "two", yaml) as two:
            answers = await asyncio.gather(*(ask(port) for port in (one.port, two.port) for _ in range(25)))
            assert {answer.status for answer in answers} == {200}
            workos.valid.clear()  # and once more, in mid-flight
            answers = await asyncio.gather(*(ask(port) for port in (one.port, two.port) for _ in range(25)))
            assert {answer.status for answer in answers} == {200}
        assert workos.refreshes == ["rt-ann-1", "rt-ann-2"]
        assert kept(tmp_path) == [("ann@example.com", 3, "active", 1)]


async def test_a_rate_limit_moves_on_to_the_next_account_unseen(tmp_path):
    """The client hears of it when all have had enough, and then when to come back."""
    async with stage() as (workos, ob1):
        await log_in(tmp_path, workos, ob1, "ann")
        await log_in(tmp_path, workos, ob1, "bob")
        limited = told({"error": {"message": "slow down", "code": 429}}, 429).replace(
            b"content-type", b"retry-after: 20\r\ncontent-type", 1
        )
        ob1.answers["at-ann-1"] = limited
        async with gateway(config(workos, ob1) + "\nrouting: {retry: {patience_s: 1}}", tmp_path) as gw:
            assert (await ask(gw.port)).status == 200
            assert ob1.bearers == ["at-ann-1:org_7", "at-bob-2:org_7"]
            ob1.answers["at-bob-2"] = limited
            assert (await ask(gw.port)).status == 429
            asked = len(ob1.bearers)
            answer = await ask(gw.port)
        assert len(ob1.bearers) == asked
        assert answer.status == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 20
        assert "all 2 accounts" in json.loads(answer.body)["error"]["message"]


async def test_an_account_is_added_and_removed_while_the_gateway_runs(tmp_path):
    """No restart, no reload."""
    async with stage() as (workos, ob1), gateway(config(workos, ob1), tmp_path) as gw:
        answer = await ask(gw.port)
        assert answer.status == 502
        assert "gatewright login ob1" in json.loads(answer.body)["error"]["message"]
        await log_in(tmp_path, workos, ob1)
        assert (await ask(gw.port)).status == 200
        code, out, _ = await command(tmp_path, "accounts", "remove", "ob1", "ann@example.com", "--yes")
        assert (code, out) == (0, "ob1: ann@example.com: removed\n")
        began = time.monotonic()
        while (await ask(gw.port)).status == 200:
            assert time.monotonic() - began < 20
            await asyncio.sleep(0.2)


async def test_what_the_api_quotes_of_a_token_does_not_reach_the_client(tmp_path):
    """Some echo the credential that they refuse."""
    async with stage() as (workos, ob1):
        await log_in(tmp_path, workos, ob1)
        ob1.answers["at-ann-1"] = told({"error": {"message": "what is at-ann-1:org_7 or rt-ann-1?", "code": 400}}, 400)
        async with gateway(config(workos, ob1), tmp_path) as gw:
            answer = await ask(gw.port)
        assert answer.status == 400
        assert b"what is" in answer.body
        assert b"at-ann" not in answer.body
        assert b"rt-ann" not in answer.body


@pytest.mark.parametrize(("damage", "told_so"), [("key", "another secret key"), ("file", "cannot be used")])
async def test_a_wrong_key_or_a_damaged_store_is_told_to_the_caller(damage, told_so, tmp_path):
    """With the provider's name, and without ending the gateway."""
    async with stage() as (workos, ob1):
        await log_in(tmp_path, workos, ob1)
        if damage == "key":
            (tmp_path / "secret_key").write_text("x" * 43)
        else:
            (tmp_path / "accounts.db").write_bytes(b"not a database" * 1000)
            for left in tmp_path.glob("accounts.db-*"):
                left.unlink()
        async with gateway(config(workos, ob1), tmp_path) as gw:
            answer = await ask(gw.port)
        message = json.loads(answer.body)["error"]["message"]
        assert answer.status >= 500
        assert "ob1" in message
        assert told_so in message


async def test_told_to_stop_in_the_middle_of_a_refresh(tmp_path):
    """It is brought to its end, and what was granted is saved."""
    async with stage() as (workos, ob1):
        workos.life_s = 0
        workos.grace_s = 0
        await log_in(tmp_path, workos, ob1)
        workos.life_s = 3600
        heard = asyncio.Event()

        async def late(token: str) -> None:
            heard.set()
            await asyncio.sleep(0.7)

        workos.hook = late
        async with served(tmp_path, config(workos, ob1)) as one:
            await asyncio.wait_for(heard.wait(), 20)
            one.stop()
            assert await one.stopped(10) == 0
        assert kept(tmp_path) == [("ann@example.com", 2, "active", 1)]


async def test_one_of_two_processes_is_killed_in_the_middle_of_a_refresh(tmp_path):
    """The other takes over at once, within the grace, and nobody has to do anything."""
    async with stage() as (workos, ob1):
        workos.life_s = 0
        await log_in(tmp_path, workos, ob1)
        workos.life_s = 3600
        yaml = config(workos, ob1) + f"\nserver: {{state_dir: '{tmp_path}'}}\n"
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        heard = asyncio.Event()

        async def never(token: str) -> None:
            heard.set()
            workos.hook = None
            await asyncio.sleep(20)

        workos.hook = never
        async with served(tmp_path / "one", yaml) as one, served(tmp_path / "two", yaml) as two:
            await asyncio.wait_for(heard.wait(), 20)
            with sqlite3.connect(tmp_path / "accounts.db") as db:
                ((holder,),) = db.execute("select holder from accounts").fetchall()
            left = two if int(holder.split(" ")[1]) == one.process.pid else one
            waiting = asyncio.create_task(ask(left.port))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            (two if left is one else one).process.send_signal(signal.SIGKILL)
            answer = await asyncio.wait_for(waiting, 20)
        assert answer.status == 200, answer.body
        assert workos.refreshes == ["rt-ann-1", "rt-ann-1"]
        assert kept(tmp_path) == [("ann@example.com", 2, "active", 1)]


async def test_a_login_that_no_catalogue_knows_and_a_route_with_a_way_out(tmp_path):
    """A company's identity server before its own models; while nobody is logged in, the route's next target answers."""
    body = json.dumps({"model": "smart", "messages": [{"role": "user", "content": "ping"}]}).encode()
    whole = answer(
        json.dumps(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
            }
        ).encode()
    )
    async with stage() as (workos, _), upstream() as own, upstream() as other:
        own.answers = other.answers = [[whole]]
        yaml = (
            f"providers:\n  own: {{kind: custom, base_url: 'http://127.0.0.1:{own.port}/v1', auth: account, oauth: {{device_url: "
            f"'{workos.url}/device', token_url: '{workos.url}/token', client_id: {CLIENT_ID}, identity: {{team: user.id}}, "
            f"bearer: '{{team}}~{{access_token}}'}}}}\n  other: {{kind: custom, base_url: 'http://127.0.0.1:{other.port}/v1'}}\n"
            "models: {smart: {targets: [own/m], fallback: [other/m]}}\n"
        )
        async with gateway(yaml, tmp_path) as gw:
            assert (await call(gw.port, "/v1/chat/completions", body)).status == 200
            assert (len(own.requests), len(other.requests)) == (0, 1)
            assert b"authorization" not in other.head().lower()
            file = tmp_path / "login.yaml"
            file.write_text(yaml)
            code, out, err = await command(tmp_path, "login", "own", "--config", str(file))
            assert (code, out) == (0, "own: logged in as ann@example.com\n"), err
            assert (await call(gw.port, "/v1/chat/completions", body)).status == 200
            assert (len(own.requests), len(other.requests)) == (1, 1)
            assert b"authorization: Bearer user_ann~at-ann-1\r\n" in own.head() + b"\r\n"

"""`POST /admin/v1/reload`: for an admin's key alone, in every worker, and a bad file changes nothing and says why."""

import asyncio
import json
import time

import msgspec
import pytest
from tests.server.load import answering
from tests.server.test_process import Served, served
from tests.serving import KEY, call, upstream
from tests.test_reload import logged, status, until, write, yaml

from gatewright import reload as reload_module
from gatewright.config import load_config
from gatewright.serving import create_app, reloading_app
from gatewright.stores.peers import Peers

ADMIN = "gw-admin-test-key"


def configured(text: str) -> str:
    return f"{text}\nkeys: [{{name: test, key: {KEY}}}, {{name: root, key: {ADMIN}, role: admin}}]\n"


async def reload(port: int, key: str = ADMIN, *, method: str = "POST"):
    headers = f"authorization: Bearer {key}\r\n" if key else ""
    got = await call(port, "/admin/v1/reload", b"", method=method, headers=headers)
    return got.status, json.loads(got.body)


async def governed(gw: Served, tmp_path, text: str, workers: int = 1) -> None:
    """Have an admin's key taken over by every worker, once all are there; `served` knows of none."""
    await until(lambda: len(tuple((tmp_path / "peers").glob("*.sock"))) == workers, 20)
    write(tmp_path, configured(text))
    await until(lambda: logged(tmp_path).count("taken over") == workers, 20)


@pytest.mark.parametrize("workers", [1, 3])
async def test_when_it_is_answered_every_worker_has_taken_over(tmp_path, workers):
    """Names of what changed are told, values are not; whoever asks next is served by the new configuration, by whichever worker."""
    async with upstream() as up, served(tmp_path, yaml(up.port, server="watch: true"), workers=workers) as gw:
        answering(up)
        await governed(gw, tmp_path, yaml(up.port, server="watch: false"), workers)
        for turn in range(3):
            write(
                tmp_path,
                configured(yaml(up.port, connect_s=9 + turn, server="watch: false", models=f"  n{turn}: {{targets: [up/m]}}")),
            )
            began = time.monotonic()
            code, told = await reload(gw.port)
            took_s = time.monotonic() - began
            assert code == 200, told
            assert [await status(gw.port, model=f"n{turn}") for _ in range(12)] == [200] * 12
            assert told["models"] == {"added": [f"n{turn}"], "changed": [], "removed": [f"n{turn - 1}"] if turn else []}
            assert told["providers"] == {"added": [], "changed": ["also"], "removed": []}
            assert told["workers"] == {"told": workers - 1, "took_over": workers - 1, "refused": 0, "silent": 0}
            assert told["source"] == str(tmp_path / "gatewright.yaml")
            assert "sk-upstream" not in json.dumps(told)
            print(f"{workers} workers: {took_s:.3f} s")
        gw.stop()
        assert await gw.stopped(20) == 0, logged(tmp_path)
        assert "Traceback" not in logged(tmp_path)


async def test_a_bad_file_is_refused_with_every_place_and_changes_nothing(tmp_path):
    """File, line, column and key of each problem, apart, for whoever deploys by program."""
    async with upstream() as up, served(tmp_path, yaml(up.port)) as gw:
        answering(up)
        await governed(gw, tmp_path, yaml(up.port, server="watch: false"))
        bad = yaml(up.port, server="watch: false", models="  n: {targets: [nowhere/m], strategy: luck}").replace(
            "kind: openai", "kind: openia", 1
        )
        write(tmp_path, configured(bad))
        code, told = await reload(gw.port)
        assert code == 422
        error = told["error"]
        assert error["code"] == "invalid_configuration"
        file = str(tmp_path / "gatewright.yaml")
        places = {(problem["file"], problem["line"], problem["key"]) for problem in error["problems"]}
        assert {(file, 4, "providers.up.kind"), (file, 8, "models.n.strategy")} <= places
        assert all(problem["column"] > 1 for problem in error["problems"])
        assert f"{file}:4:" in error["message"]
        assert await status(gw.port) == 200
        write(tmp_path, configured(yaml(up.port, server="watch: false", models="  n: {targets: [up/m]}")))
        assert (await reload(gw.port))[0] == 200
        assert await status(gw.port, model="n") == 200


async def test_it_is_closed_to_all_but_admins(tmp_path):
    """No key, a wrong key, a key for models; and no other method, path or provider's name leads there."""
    async with upstream() as up, served(tmp_path, yaml(up.port)) as gw:
        answering(up)
        trap = yaml(up.port, server="watch: false").replace(
            "  also:", '  admin: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: sk}\n  also:'
        )
        await governed(gw, tmp_path, trap)
        assert (await reload(gw.port, ""))[0] == 401
        assert (await reload(gw.port, "gw-nobody"))[0] == 401
        code, told = await reload(gw.port, KEY)
        assert (code, told["error"]["code"]) == (403, "admin_only")
        assert '"test"' in told["error"]["message"]
        assert (await reload(gw.port, ADMIN, method="GET"))[0] in (404, 502, 503)
        assert logged(tmp_path).count("taken over") == 1
        assert (await reload(gw.port))[0] == 200
        got = await call(gw.port, "/admin/v1/audit", b"", method="GET", headers=f"authorization: Bearer {ADMIN}\r\n")
        (line,) = json.loads(got.body)["data"]
        assert (line["actor"], line["action"], line["kind"]) == ("root", "reload", "configuration"), "and it is written down"


async def asked_within(app) -> tuple[int, dict]:
    headers = {b"authorization": f"Bearer {ADMIN}".encode()}
    reply = await app.gateway.handle(app.gateway.exchange(b"POST", b"/admin/v1/reload", headers, b""))
    return reply.status, json.loads(reply.body)


async def test_without_a_file_there_is_nothing_to_read(tmp_path):
    """A gateway that was configured by variables says so, and one that is embedded leaves it to its embedder."""
    file = tmp_path / "gatewright.yaml"
    file.write_text(configured("providers: {demo: {kind: demo}}"))
    config = load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)})
    code, told = await asked_within(create_app(config))
    assert (code, told["error"]["code"]) == (409, "not_reloadable")
    app = reloading_app(msgspec.structs.replace(config, source="environment", files={}))
    await app._startup()
    try:
        code, told = await asked_within(app)
        assert (code, told["error"]["code"]) == (422, "invalid_configuration")
        assert "comes from the environment" in told["error"]["message"]
    finally:
        await app._shutdown()


async def test_whoever_does_not_answer_is_silent_and_whoever_serves_something_else_does_not_count(tmp_path, monkeypatch):
    """The call comes back in any case, and says for how many of the others it can speak."""
    monkeypatch.setattr(reload_module, "ANSWER_WITHIN_S", 0.5)
    apps, folder = [], tmp_path / "state" / "peers"
    for name in ("one", "one", "other"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(configured(f"server: {{state_dir: {tmp_path}/state, watch: false}}\nproviders: {{demo: {{kind: demo}}}}"))
        apps.append(reloading_app(load_config(file, {})))
        await apps[-1]._startup()
    mute, dying = Peers(folder), Peers(folder)
    mute.open()
    dying.open()
    asyncio.get_running_loop().remove_reader(dying._socket)
    dying._socket.close()  # as a process that was killed: nobody listens, the socket's name is still there
    dying._socket = None
    try:
        code, told = await asked_within(apps[0])
        assert code == 200
        assert told["workers"] == {"told": 2, "took_over": 1, "refused": 0, "silent": 1}
        (tmp_path / "one.yaml").unlink()
        code, told = await asked_within(apps[0])
        assert code == 422
        assert "cannot be read" in told["error"]["message"]
    finally:
        mute.close()
        dying.close()
        for app in apps:
            await app._shutdown()

"""`/admin/v1`: what can be made, read, changed and removed, by whom, and what is told of it."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from tests.serving import call, gateway

ROOT = "gw-root-key-of-the-file"
YAML = """
providers: {demo: {kind: demo}}
teams: {house: {}}
"""
KEYS = f"{{name: root, key: {ROOT}, role: admin}}"
CALL = b'{"model": "demo/demo", "messages": [{"role": "user", "content": "hi"}]}'


class Api:
    """One who asks."""

    def __init__(self, port: int, key: str = ROOT) -> None:
        self.port = port
        self.key = key

    def as_(self, key: str) -> "Api":
        return Api(self.port, key)

    async def __call__(self, method: str, path: str, body: object = None, etag: str | None = None) -> SimpleNamespace:
        headers = f"authorization: Bearer {self.key}\r\n" if self.key else ""
        if etag is not None:
            headers += f"if-match: {etag}\r\n"
        sent = b"" if body is None else json.dumps(body).encode()
        got = await call(self.port, f"/admin/v1{path}", sent, method=method, headers=headers)
        told = json.loads(got.body) if got.body else None
        if got.status >= 400:
            assert got.headers["content-type"] == "application/problem+json"
            assert told["status"] == got.status
            assert told["request_id"]
        return SimpleNamespace(status=got.status, headers=got.headers, told=told)

    async def made(self, path: str, body: object) -> dict:
        got = await self("POST", path, body)
        assert got.status == 201, got.told
        return got.told

    async def model_call(self, key: str) -> int:
        return (await call(self.port, "/v1/chat/completions", CALL, headers=f"authorization: Bearer {key}\r\n")).status


@pytest.fixture
async def api(tmp_path):
    async with gateway(YAML, tmp_path, keys=KEYS) as gw:
        yield Api(gw.port)


async def test_a_key_lives_and_dies(api):
    """Made, shown once, used, rotated with an overlap, disabled, revoked: each is so at once where it was asked for."""
    key = await api.made("/keys", {"name": "ci", "models": ["demo/*"], "metadata": {"who": "us"}})
    secret = key.pop("key")
    assert secret.startswith("gw-")
    assert len(secret) >= 46
    assert await api.model_call(secret) == 200
    read = await api("GET", f"/keys/{key['id']}")
    assert read.told == key
    assert secret not in json.dumps((await api("GET", "/keys")).told)
    rotated = (await api("POST", f"/keys/{key['id']}/rotate", {"overlap_s": 3600})).told
    assert await api.model_call(secret) == await api.model_call(rotated["key"]) == 200
    assert rotated["previous_ends"]
    again = (await api("POST", f"/keys/{key['id']}/rotate")).told
    assert await api.model_call(secret) == 401
    assert await api.model_call(rotated["key"]) == 401
    assert await api.model_call(again["key"]) == 200
    got = await api("PUT", f"/keys/{key['id']}", {"name": "ci", "disabled": True}, etag=again["etag"])
    assert got.told["status"] == "disabled"
    assert await api.model_call(again["key"]) == 401
    got = await api("POST", f"/keys/{key['id']}/revoke")
    assert got.told["status"] == "revoked"
    assert (await api("PUT", f"/keys/{key['id']}", {"name": "ci"}, etag="*")).status == 409
    assert (await api("POST", f"/keys/{key['id']}/rotate")).status == 409
    assert (await api("POST", "/keys", {"name": "ci"})).status == 409, "names are not used twice"
    assert (await api("POST", "/keys", {"name": "gatewright-probe"})).status == 422, "the gateway's own"


@pytest.mark.parametrize(
    ("kind", "body", "change"),
    [
        ("organizations", {"id": "acme"}, {"id": "acme", "models": ["gpt-*"]}),
        ("teams", {"id": "red"}, {"id": "red", "disabled": True}),
        ("users", {"id": "ann@example.com", "team": "house"}, {"id": "ann@example.com", "role": "viewer"}),
        ("limits", {"level": "all", "per": "minute", "requests": 5}, {"level": "all", "per": "hour", "tokens": 9}),
        (
            "budgets",
            {"level": "all", "per": "month", "dollars": 50.5, "soft": [0.8]},
            {"level": "all", "per": {"rolling": "30d"}, "dollars": 0.000001, "on_exceeded": "warn", "soft": [1.0]},
        ),
    ],
)
async def test_each_is_made_read_changed_and_removed(api, kind, body, change):
    """What is read is what was written; a change needs the etag of what it changes; what is removed is gone."""
    got = await api("POST", f"/{kind}", body)
    assert got.status == 201, got.told
    made, at = got.told, got.headers["location"].removeprefix("/admin/v1")
    assert got.headers["etag"] == made["etag"]
    assert body.items() <= made.items()
    assert (await api("GET", at)).told == made
    assert (await api("PUT", at, change)).status == 428
    changed = await api("PUT", at, change, etag=made["etag"])
    assert changed.status == 200, changed.told
    assert change.items() <= changed.told.items()
    assert (await api("PUT", at, body, etag=made["etag"])).status == 412
    assert (await api("DELETE", at)).status == 428
    assert (await api("DELETE", at, etag=made["etag"])).status == 412
    assert (await api("DELETE", at, etag=changed.headers["etag"])).status == 204
    assert (await api("GET", at)).status == 404


async def test_pages_hold_each_once(api):
    """Following the cursor gives every one once, also while others are made; the configuration's stand first."""
    for i in range(7):
        await api.made("/teams", {"id": f"t{i}"})
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        got = await api("GET", f"/teams?limit=3{cursor and '&cursor=' + cursor}")
        seen += [team["id"] for team in got.told["data"]]
        cursor = got.told["next"]
        pages += 1
        if pages == 1:
            await api.made("/teams", {"id": "a-late-one"})
    assert seen == ["house", *(f"t{i}" for i in range(7))]
    assert pages == 3
    for bad in ("cursor=%F0%9F%98%80", "cursor=AAAA", "limit=0", "limit=x", "limit=501", "nonsense=1"):
        assert (await api("GET", f"/teams?{bad}")).status == 422, bad


async def test_what_the_configuration_declares_is_read_only(api):
    """It is there to be read, and counts: no second of the same name is made, nothing is changed or granted from here."""
    assert (await api("GET", "/teams/house")).told["declared"]
    assert (await api("GET", "/keys/root")).told["etag"] is None
    assert (await api("POST", "/teams", {"id": "house"})).status == 409
    assert (await api("POST", "/keys", {"name": "root"})).status == 409
    assert (await api("PUT", "/teams/house", {"id": "house"}, etag="*")).status == 409
    assert (await api("DELETE", "/teams/house", etag="*")).status == 409
    assert (await api("POST", "/keys/root/revoke")).status == 409
    assert (await api("POST", "/limits", {"level": "team", "owner": "house", "concurrent": 1})).status == 409


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/keys", {"name": "with space"}),
        ("/keys", {"name": "k", "unknown": 1}),
        ("/keys", {"name": "k", "ips": ["10.0.0.1/8"]}),
        ("/keys", {"name": "k", "routes": ["generat"]}),
        ("/keys", {"name": "k", "team": "nowhere"}),
        ("/keys", {"name": "k", "role": "team_admin"}),
        ("/keys", {"name": "k", "role": "root"}),
        ("/keys", {"name": "k", "max_tokens": 0}),
        ("/keys", {"name": "k", "models": []}),
        ("/keys", {"name": "k", "defaults": {"max_tokns": 1}}),
        ("/keys", []),
        ("/teams", {"id": "../etc"}),
        ("/teams", {"id": "t", "organization": "nowhere"}),
        ("/limits", {"level": "all", "requests": 5}),
        ("/limits", {"level": "all", "per": "minute", "requests": 5, "tokens": 5}),
        ("/limits", {"level": "key", "owner": "nobody", "concurrent": 5}),
        ("/limits", {"level": "all", "owner": "x", "concurrent": 5}),
        ("/budgets", {"level": "all", "per": "fortnight", "dollars": 5}),
        ("/budgets", {"level": "all", "per": "day", "dollars": -5}),
    ],
)
async def test_what_makes_no_sense_is_told(api, path, body):
    """422, with where and what; nothing is made."""
    got = await api("POST", path, body)
    assert got.status == 422, got.told
    assert got.told["detail"]
    assert not [it for it in (await api("GET", path)).told["data"] if not it["declared"]]


async def test_every_change_is_in_the_audit_log(api):
    """Who, what, before, after; and no secret in it. Nobody can change or remove a line, not even in the database."""
    key = await api.made("/keys", {"name": "ci"})
    rotated = (await api("POST", f"/keys/{key['id']}/rotate")).told
    await api("PUT", f"/keys/{key['id']}", {"name": "ci", "models": ["gpt-*"]}, etag="*")
    await api("POST", f"/keys/{key['id']}/revoke")
    log = (await api("GET", f"/audit?kind=keys&target={key['id']}")).told["data"]
    assert [line["action"] for line in log] == ["revoke", "update", "rotate", "create"]
    assert {(line["actor"], line["via"]) for line in log} == {("root", "api")}
    assert (log[1]["before"].get("models"), log[1]["after"]["models"]) == (None, ["gpt-*"])
    assert log[3]["before"] is None
    written = json.dumps(log)
    assert key["key"] not in written
    assert rotated["key"] not in written
    first = (await api("GET", "/audit?limit=2")).told
    rest = (await api("GET", f"/audit?limit=50&cursor={first['next']}")).told
    assert first["data"] + rest["data"] == (await api("GET", "/audit")).told["data"]


async def test_two_changes_at_once_are_one_change_and_one_refusal(api):
    """Of twenty who change what they have read, one wins, and the others are told so."""
    team = await api.made("/teams", {"id": "red"})
    changes = [api("PUT", "/teams/red", {"id": "red", "metadata": {"n": str(n)}}, etag=team["etag"]) for n in range(20)]
    assert sorted([got.status for got in await asyncio.gather(*changes)]) == [200] + [412] * 19


async def test_whoever_has_members_is_not_removed(api):
    """A team with keys stays, and says why; what was granted to one that goes, goes with it."""
    await api.made("/teams", {"id": "red"})
    await api.made("/limits", {"level": "team", "owner": "red", "concurrent": 5})
    key = await api.made("/keys", {"name": "k", "team": "red"})
    assert (await api("DELETE", "/teams/red", etag="*")).status == 409
    got = await api("PUT", f"/keys/{key['id']}", {"name": "k"}, etag="*")
    assert got.status == 200
    assert (await api("DELETE", "/teams/red", etag="*")).status == 204
    assert (await api("GET", "/limits")).told["data"] == []


async def test_disabling_a_team_cuts_all_its_keys(api):
    """At once, whichever way they belong to it; and they are as before when it is enabled again."""
    await api.made("/organizations", {"id": "acme"})
    await api.made("/teams", {"id": "red", "organization": "acme"})
    await api.made("/users", {"id": "ann", "team": "red"})
    keys = [
        (await api.made("/keys", {"name": "direct", "team": "red"}))["key"],
        (await api.made("/keys", {"name": "by-user", "user": "ann"}))["key"],
    ]
    for kind, body in (
        ("organizations/acme", {"id": "acme"}),
        ("teams/red", {"id": "red", "organization": "acme"}),
    ):
        await api("PUT", f"/{kind}", {**body, "disabled": True}, etag="*")
        assert [await api.model_call(key) for key in keys] == [401, 401]
        await api("PUT", f"/{kind}", body, etag="*")
        assert [await api.model_call(key) for key in keys] == [200, 200]


async def test_a_level_above_narrows(api):
    """A key for all models of a team for some is a key for some."""
    await api.made("/teams", {"id": "red", "models": ["gpt-*"]})
    key = (await api.made("/keys", {"name": "k", "team": "red", "models": ["*"]}))["key"]
    assert await api.model_call(key) == 403


async def test_a_teams_admin_rules_the_team_and_nothing_else(api):
    """Sees and changes users and keys of the team, gives no role above the own, and touches no admin's key."""
    await api.made("/teams", {"id": "red"})
    await api.made("/teams", {"id": "blue"})
    other = await api.made("/keys", {"name": "other", "team": "blue"})
    boss = await api.made("/keys", {"name": "boss", "team": "red", "role": "admin"})
    red = api.as_((await api.made("/keys", {"name": "red-admin", "team": "red", "role": "team_admin"}))["key"])
    mine = await red.made("/keys", {"name": "mine"})
    assert mine["team"] == "red"
    assert {key["name"] for key in (await red("GET", "/keys")).told["data"]} == {"boss", "red-admin", "mine"}
    assert (await red("GET", f"/keys/{other['id']}")).status == 404
    assert (await red("POST", f"/keys/{other['id']}/revoke")).status == 404
    assert (await red("GET", "/keys/root")).status == 404
    assert [team["id"] for team in (await red("GET", "/teams")).told["data"]] == ["red"]
    assert (await red("GET", "/teams/blue")).status == 404
    for body in ({"name": "x", "team": "blue"}, {"name": "x", "role": "admin"}, {"name": "x", "team": "house"}):
        assert (await red("POST", "/keys", body)).status in (403, 404), body
    assert (await red("POST", f"/keys/{boss['id']}/rotate")).status == 403
    assert (await red("PUT", f"/keys/{boss['id']}", {"name": "boss"}, etag="*")).status == 403
    assert (await red("PUT", f"/keys/{mine['id']}", {"name": "mine", "team": "blue"}, etag="*")).status == 403
    for level, owner in (("all", None), ("team", "red")):
        assert (await red("POST", "/limits", {"level": level, "owner": owner, "concurrent": 5})).status == 403
    made = await red.made("/limits", {"level": "key", "owner": mine["id"], "concurrent": 5})
    assert (await red("DELETE", f"/limits/{made['id']}", etag="*")).status == 204
    assert (await red("POST", "/limits", {"level": "key", "owner": other["id"], "concurrent": 5})).status == 422
    assert (await red("PUT", "/teams/red", {"id": "red"}, etag="*")).status == 403
    assert (await red("GET", "/organizations")).told["data"] == []
    assert {line["target"] for line in (await red("GET", "/audit")).told["data"]} >= {mine["id"], made["id"]}
    assert other["id"] not in json.dumps((await red("GET", "/audit")).told)


async def test_no_other_way_leads_in(api):
    """Every spelling of the path is the same path or none; a provider's name does not get in front; nothing without a key."""
    for path in ("/admin/v1/keys", "/%61dmin/v1/keys", "/admin/v1/%6Beys"):
        assert (await call(api.port, path, b"", method="GET", headers="")).status == 401, path
    for path in (
        "//admin/v1/keys",
        "/admin//v1/keys",
        "/admin/v1/../v1/keys",
        "/admin/v1/./keys",
        "/admin/v1//keys",
        "/x/admin/v1/keys",
    ):
        got = await call(api.port, path, b"", method="GET", headers=f"authorization: Bearer {ROOT}\r\n")
        assert got.status == 404, path
    got = await api.as_("")("GET", "/keys")
    assert got.status == 401
    assert got.headers["www-authenticate"] == "Bearer"
    assert (await api("GET", "/keys/")).status == 404
    assert (await api("PATCH", "/keys")).status == 405
    assert (await api("POST", "/keys", {"name": "x" * (1 << 20)})).status == 413


async def test_it_describes_itself(api):
    """OpenAPI 3.1, with every route."""
    told = (await api("GET", "/openapi.json")).told
    assert told["openapi"].startswith("3.1")
    assert "/admin/v1/keys/{id}/rotate" in told["paths"]
    me = (await api("GET", "/self")).told
    assert (me["name"], me["role"]) == ("root", "admin")
    assert (await api("GET", "/health")).told["status"] == "ok"


async def test_who_looks_on_for_an_organization_sees_no_other(api):
    """A viewer sees a team, or everything, but everything only where it belongs to nobody."""
    await api.made("/organizations", {"id": "acme"})
    seer = await api.made("/keys", {"name": "seer", "role": "viewer"})
    guest = await api.made("/keys", {"name": "guest", "role": "viewer", "organization": "acme"})
    for path in ("/keys", "/organizations", "/users", "/audit"):
        assert (await api.as_(seer["key"])("GET", path)).status == 200
    assert (await api.as_(seer["key"])("GET", f"/keys/{guest['id']}")).status == 200
    assert (await api.as_(guest["key"])("GET", f"/keys/{seer['id']}")).status == 404
    assert (await api.as_(guest["key"])("GET", "/keys")).told["data"] == []


async def test_what_is_granted_holds_at_once(api):
    """A limit made over HTTP refuses the next request beyond it; taken away, it refuses nothing."""
    await api.made("/teams", {"id": "red"})
    key = (await api.made("/keys", {"name": "k", "team": "red"}))["key"]
    assert [await api.model_call(key) for _ in range(3)] == [200] * 3
    limit = await api.made("/limits", {"level": "team", "owner": "red", "per": "hour", "requests": 2})
    assert [await api.model_call(key) for _ in range(3)] == [200, 200, 429]
    await api("DELETE", f"/limits/{limit['id']}", etag="*")
    assert await api.model_call(key) == 200


async def test_what_the_framework_would_tell_of_itself_is_not_told(api):
    """No page of documentation, no schema without a key, no name of the framework in an error."""
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert (await api.as_("")("GET", path)).status == 401
    assert (await api("GET", "/docs")).status == 404
    got = await call(api.port, "/admin/v1/keys", b"{not json", method="POST", headers=f"authorization: Bearer {ROOT}\r\n")
    assert got.status == 422
    assert "server" not in got.headers

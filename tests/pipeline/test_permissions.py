"""Every route × every role, and no credential: what the table says is what happens, and nothing is missing from the table."""

import json
from typing import get_args

import pytest
from tests.serving import KEY, call, gateway

from gatewright.admin import api
from gatewright.exchange import Operation, Role
from gatewright.pipeline import permissions
from gatewright.pipeline.permissions import ADMIN, GRANTED, OPERATIONS, ROLES_OF

ROLES = get_args(Role)
YAML = """
providers: {demo: {kind: demo}}
teams: {red: {}}
invariant: {enabled: true}
"""
SECRETS = {role: f"gw-{role}-key-of-a-test" for role in ROLES}
KEYS = ", ".join(
    # Whatever is about all, such as metrics, no viewer of a team is told.
    f"{{name: {role}, key: {key}, role: {role}{'' if role == 'viewer' else ', team: red'}}}"
    for role, key in SECRETS.items()
)
CHAT = {"model": "demo/demo", "messages": [{"role": "user", "content": "hi"}]}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
INVOKE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": CHAT["messages"]}

ASKED: dict[Operation, tuple[str, str, object]] = {
    "generate": ("POST", "/v1/chat/completions", CHAT),
    "invoke": ("POST", "/model/demo%2Fdemo/invoke", INVOKE),
    "count_tokens": ("POST", "/v1/messages/count_tokens", CHAT),
    "count_input": ("POST", "/model/demo%2Fdemo/count-tokens", {"input": {"converse": CONVERSE}}),
    "get_response": ("GET", "/v1/responses/resp_1", None),
    "delete_response": ("DELETE", "/v1/responses/resp_1", None),
    "cancel_response": ("POST", "/v1/responses/resp_1/cancel", None),
    "list_input_items": ("GET", "/v1/responses/resp_1/input_items", None),
    "explain": ("POST", "/v1/explain", CHAT),
    "forward": ("POST", "/v1/embeddings", {"model": "demo/demo", "input": "hi"}),
    "list_models": ("GET", "/v1/models", None),
    "get_model": ("GET", "/v1/models/demo/demo", None),
    "health": ("GET", "/health", None),
    "ready": ("GET", "/ready", None),
    "target_health": ("GET", "/v1/health/targets", None),
    "usage": ("GET", "/v1/usage", None),
    "metrics": ("GET", "/metrics", None),
    "reload": ("POST", "/admin/v1/reload", None),
    "admin": ("GET", "/admin/v1/self", None),
    "invariant": ("GET", "/api/v1/gateway/health", None),
    "unknown": ("GET", "/nowhere", None),
}
"""One request of each operation."""

NO_KEY, NOT_KNOWN, NOT_PERMITTED = "No API key.", "This API key is not known here.", "and may not do this"
"""What is told, in whichever dialect: not all have codes, and AWS says 403 where others say 401."""


@pytest.fixture
async def gw(tmp_path):
    async with gateway(YAML, tmp_path, keys=KEYS) as running:
        yield running


async def ask(port: int, method: str, path: str, body: object, key: str) -> tuple[int, str]:
    """Status and body."""
    headers = f"authorization: Bearer {key}\r\n" if key else ""
    sent = b"" if body is None else json.dumps(body).encode()
    got = await call(port, path, sent, method=method, headers=headers)
    return got.status, got.body.decode()


def test_every_operation_declares_its_permission():
    """One that is added to the gateway and not to the table fails here; at run time nobody may ask for it."""
    assert set(OPERATIONS) == set(get_args(Operation))
    assert set(ASKED) == set(get_args(Operation))
    assert set(ROLES_OF) == set(get_args(permissions.Permission))
    assert all(roles <= set(ROLES) for roles in ROLES_OF.values())


def test_what_declares_none_is_nobodys(monkeypatch):
    """Deny by default, in the data plane; a route of the admin API without one keeps the application from being built."""
    assert all("made up" not in operations for operations in GRANTED.values())
    monkeypatch.delitem(permissions.ADMIN, ("GET", "/audit"))
    with pytest.raises(LookupError, match="/audit"):
        api.application()


def test_the_admin_api_serves_what_the_table_has_and_nothing_else():
    """No route of the framework's own (docs, schema) beside those that ask for a permission."""
    served = {(method, route.path) for route in api.application().routes for method in route.methods}
    assert served == {(method, f"/admin/v1{path}") for method, path in ADMIN}


@pytest.mark.parametrize("operation", get_args(Operation))
async def test_operations(gw, operation):
    """Each role may do what the table grants; without a key, or with a wrong one, nothing but what is open to all is told."""
    method, path, body = ASKED[operation]
    matched, *_ = gw.gateway.inbound.matched(method.encode(), path.encode())
    assert matched.operation == operation
    permission = OPERATIONS[operation]
    for key in ("", "gw-wrong", "gw-", SECRETS["admin"][:-1], SECRETS["admin"] + "x", SECRETS["admin"].upper()):
        status, told = await ask(gw.port, method, path, body, key)
        if permission == "open":
            assert status == 200
        else:
            assert status == (403 if matched.dialect == "bedrock_converse" else 401)
            assert (NOT_KNOWN if key else NO_KEY) in told, key
    for role, key in SECRETS.items():
        status, told = await ask(gw.port, method, path, body, key)
        assert NOT_KNOWN not in told, role
        assert (NOT_PERMITTED in told) is (role not in ROLES_OF[permission]), (role, status, told)
        assert (status == 403) is (role not in ROLES_OF[permission]), (role, status, told)
        assert "bug of ours" not in told
        assert status != 500, told


@pytest.mark.parametrize(("method", "path"), list(ADMIN))
async def test_routes_of_the_admin_api(gw, method, path):
    """The same, for each of its routes. Who may is told of the request; who may not is told that, whatever the request is."""
    whole = "/admin/v1" + path.replace("{id}", "nobody")
    for key in ("", "gw-wrong", SECRETS["admin"][:-1]):
        assert (await ask(gw.port, method, whole, {}, key))[0] == 401
    for role, key in SECRETS.items():
        status, told = await ask(gw.port, method, whole, {}, key)
        refused = role not in ROLES_OF[ADMIN[method, path]]
        assert (status == 403 and NOT_PERMITTED in told) is refused, (role, status, told)
        assert status < 500


async def test_a_key_for_models_is_no_key_for_the_gateway(gw):
    """A member may call models, and nothing else: the table as it is meant, in words that do not come from it."""
    for method, path, body in (
        ASKED["reload"],
        ("GET", "/admin/v1/keys", None),
        ("POST", "/admin/v1/keys", {"name": "k", "role": "admin"}),
    ):
        assert (await ask(gw.port, method, path, body, KEY))[0] == 403
    assert (await ask(gw.port, *ASKED["generate"], KEY))[0] == 200
    assert (await ask(gw.port, *ASKED["generate"], SECRETS["viewer"]))[0] == 403

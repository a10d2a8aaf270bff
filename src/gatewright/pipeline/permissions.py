"""Who may ask for what: one table for every route, of the data plane and of the admin API. What is not in it is refused.

    Permission  what a route asks for          →  the roles that have it
    OPERATIONS  operation of the data plane    →  its permission
    ADMIN       method and path of the admin API → its permission

One rule: a route without a line here does not exist. The admin API is built from this table, and a test walks all operations.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from gatewright.errors import Problem, Refused
from gatewright.exchange import Operation, Principal, Role

Permission: TypeAlias = Literal[
    "open",  # anybody, without a key
    "look",  # whoever has a key: what there is to ask for, and oneself
    "call",  # what reaches a provider, or costs
    "read",  # principals, grants, usage, audit: a team's own, or all for those who belong to none
    "write",  # users, keys and what is granted to them: a team's own, or all
    "metrics",  # how the gateway does: of those who belong to nobody in particular, for it is about all
    "govern",  # the gateway itself: organizations, teams, what they are granted, its configuration
]

ROLES_OF: Final[Mapping[Permission, frozenset[Role]]] = {
    "open": frozenset({"admin", "team_admin", "member", "viewer"}),
    "look": frozenset({"admin", "team_admin", "member", "viewer"}),
    "call": frozenset({"admin", "team_admin", "member"}),
    "read": frozenset({"admin", "team_admin", "viewer"}),
    "write": frozenset({"admin", "team_admin"}),
    "metrics": frozenset({"admin", "viewer"}),
    "govern": frozenset({"admin"}),
}

OPERATIONS: Final[Mapping[Operation, Permission]] = {
    "generate": "call",
    "invoke": "call",
    "count_tokens": "call",
    "count_input": "call",
    "get_response": "call",
    "delete_response": "call",
    "cancel_response": "call",
    "list_input_items": "call",
    "explain": "call",
    "forward": "call",
    "list_models": "look",
    "get_model": "look",
    "health": "open",
    "ready": "open",
    "target_health": "look",
    "usage": "look",  # of oneself; of a team or of all by role
    "metrics": "metrics",
    "reload": "govern",
    "admin": "look",  # each of its routes asks for more
    "invariant": "open",
    "unknown": "look",
}

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

ADMIN: Final[Mapping[tuple[Method, str], Permission]] = {
    ("GET", "/openapi.json"): "look",
    ("GET", "/self"): "look",
    ("GET", "/health"): "read",
    ("GET", "/audit"): "read",
    ("GET", "/traces"): "read",
    ("GET", "/traces/{id}"): "read",
    ("GET", "/traces/{id}/body/{leg}"): "read",
    ("GET", "/organizations"): "read",
    ("POST", "/organizations"): "govern",
    ("GET", "/organizations/{id}"): "read",
    ("PUT", "/organizations/{id}"): "govern",
    ("DELETE", "/organizations/{id}"): "govern",
    ("GET", "/teams"): "read",
    ("POST", "/teams"): "govern",
    ("GET", "/teams/{id}"): "read",
    ("PUT", "/teams/{id}"): "govern",
    ("DELETE", "/teams/{id}"): "govern",
    ("GET", "/users"): "read",
    ("POST", "/users"): "write",
    ("GET", "/users/{id}"): "read",
    ("PUT", "/users/{id}"): "write",
    ("DELETE", "/users/{id}"): "write",
    ("GET", "/keys"): "read",
    ("POST", "/keys"): "write",
    ("GET", "/keys/{id}"): "read",
    ("PUT", "/keys/{id}"): "write",
    ("POST", "/keys/{id}/rotate"): "write",
    ("POST", "/keys/{id}/revoke"): "write",
    ("GET", "/limits"): "read",
    ("POST", "/limits"): "write",
    ("GET", "/limits/{id}"): "read",
    ("PUT", "/limits/{id}"): "write",
    ("DELETE", "/limits/{id}"): "write",
    ("GET", "/budgets"): "read",
    ("POST", "/budgets"): "write",
    ("GET", "/budgets/{id}"): "read",
    ("PUT", "/budgets/{id}"): "write",
    ("DELETE", "/budgets/{id}"): "write",
}
"""Paths beneath `/admin/v1`. `POST /admin/v1/reload` is an operation of its own."""

GRANTED: Final[Mapping[Role, frozenset[Operation]]] = {
    role: frozenset(operation for operation, permission in OPERATIONS.items() if role in ROLES_OF[permission])
    for role in ("admin", "team_admin", "member", "viewer")
}
CALLS: Final = frozenset(operation for operation, permission in OPERATIONS.items() if permission == "call")


def forbidden(principal: Principal, permission: Permission | None) -> Refused:
    """Why this role may not. `permission`: None where the route has declared none."""
    roles = ROLES_OF[permission] if permission is not None else frozenset[Role]()
    if roles == {"admin"}:
        code, takes = "admin_only", "it takes one with `role: admin`"
    elif roles:
        code, takes = "not_permitted", f"it takes one with a role of {', '.join(f'`{role}`' for role in sorted(roles))}"
    else:
        code, takes = "not_permitted", "nobody may: its route declares no permission"
    message = f'The key "{principal.name}" has `role: {principal.role}` and may not do this: {takes}.'
    return Refused(Problem(kind="permission", code=code, message=message))

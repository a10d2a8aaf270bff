"""Who may call: the file's organizations, teams, users, keys and identity providers, made into records.

One rule: names must lead somewhere, and what a key says must agree with its user's and its team's; nothing is guessed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, get_args
from urllib.parse import urlsplit

from gatewright.config.model import JwtConfig, KeyConfig, PrincipalsConfig
from gatewright.config.references import Desk
from gatewright.config.resolve_limits import resolve_budgets, resolve_limits
from gatewright.config.resolve_models import Names
from gatewright.config.schema import ConfigFile
from gatewright.config.schema_limits import BudgetSection, LimitSection
from gatewright.config.schema_principals import JwtSection, KeySection
from gatewright.config.suggest import hint
from gatewright.config.tree import KeyPath
from gatewright.exchange import Operation
from gatewright.limits.terms import Level
from gatewright.principals.networks import network
from gatewright.principals.records import NOTHING, RESERVED, Granted, Organization, Records, Team, User
from gatewright.principals.roll import Roll, place_of

MIN_KEY_CHARACTERS: Final = 16
"""A shorter client key can be guessed; accepted with a warning, because a test's key is short."""
OPERATIONS: Final[tuple[str, ...]] = get_args(Operation)


def resolve_principals(sections: ConfigFile, names: Names, desk: Desk) -> PrincipalsConfig:
    """Organizations, teams and users, and what is granted to them."""
    granted: dict[tuple[Level, str], Granted] = {}
    organizations: dict[str, Organization] = {}
    teams: dict[str, Team] = {}
    users: dict[str, User] = {}
    for name, house in sections.organizations.items():
        path: KeyPath = ("organizations", name)
        _grant(granted, "organization", name, _granted(house.limits, house.budgets, path, desk))
        models = _models(house.models, path, names, desk)
        organizations[name] = Organization(
            id=name, models=models, disabled=house.disabled, metadata=house.metadata, traces=house.traces
        )
    for name, squad in sections.teams.items():
        path = ("teams", name)
        _grant(granted, "team", name, _granted(squad.limits, squad.budgets, path, desk))
        models = _models(squad.models, path, names, desk)
        teams[name] = Team(
            id=name,
            models=models,
            disabled=squad.disabled,
            metadata=squad.metadata,
            traces=squad.traces,
            organization=squad.organization or "",
        )
        _known(squad.organization, sections.organizations, "organization", path, desk)
    for name, person in sections.users.items():
        path = ("users", name)
        _grant(granted, "user", name, _granted(person.limits, person.budgets, path, desk))
        users[name] = User(
            id=name,
            models=_models(person.models, path, names, desk),
            disabled=person.disabled,
            metadata=person.metadata,
            traces=person.traces,
            organization=person.organization or "",
            team=person.team or "",
            role=person.role,
        )
        known = _known(person.organization, sections.organizations, "organization", path, desk)
        if known & _known(person.team, sections.teams, "team", path, desk):
            if person.role == "team_admin" and person.team is None:
                desk.wrong((*path, "role"), "a team's admin needs a team; name it in `team`")
            roll = _roll(PrincipalsConfig(organizations=organizations, teams=teams, users=users))
            place = place_of(roll, organization=person.organization or "", team=person.team or "")
            if isinstance(place, str) and not place.endswith("is disabled"):
                desk.wrong(path, place)
    return PrincipalsConfig(organizations=organizations, teams=teams, users=users, granted=granted)


def resolve_keys(sections: Iterable[KeySection], names: Names, principals: PrincipalsConfig, desk: Desk) -> tuple[KeyConfig, ...]:
    keys: list[KeyConfig] = []
    roll = _roll(principals)
    for i, section in enumerate(sections):
        path: KeyPath = ("keys", i)
        if any(key.name == section.name for key in keys):
            desk.wrong((*path, "name"), f'a key named "{section.name}" is already there')
        models = _models(section.models, path, names, desk)
        _check_place(section, principals, roll, path, desk)
        if section.name in RESERVED:
            desk.wrong((*path, "name"), f'"{section.name}" is the gateway\'s own, for its probes; choose another name')
        check_routes(section.routes, path, desk)
        ips = _networks(section.ips, (*path, "ips"), desk)
        granted = _granted(section.limits, section.budgets, path, desk)
        secret = desk.secret(section.key, (*path, "key"))
        if secret is None:
            continue
        value = secret.reveal()
        if not (value.isascii() and value.isprintable()) or " " in value:
            desk.wrong((*path, "key"), "a client key is sent in a header: printable ASCII without spaces only")
            continue
        if len(value) < MIN_KEY_CHARACTERS:
            desk.warn((*path, "key"), f"shorter than {MIN_KEY_CHARACTERS} characters: easy to guess")
        if (twin := next((key for key in keys if key.key == secret), None)) is not None:
            desk.wrong((*path, "key"), f'the same key as "{twin.name}"')
        keys.append(
            KeyConfig(
                name=section.name,
                key=secret,
                models=models,
                tags=tuple(dict.fromkeys(section.tags)),
                role=section.role,
                organization=section.organization or "",
                team=section.team or "",
                user=section.user or "",
                expires=_unix(section.expires),
                disabled=section.disabled,
                dialects=tuple(dict.fromkeys(section.dialects)),
                routes=tuple(dict.fromkeys(section.routes)),
                ips=ips,
                defaults=section.defaults.model_dump(exclude_none=True),
                max_tokens=section.max_tokens,
                metadata=section.metadata,
                show_cost=section.show_cost,
                traces=section.traces,
                granted=granted,
            )
        )
    return tuple(keys)


def _check_place(section: KeySection, principals: PrincipalsConfig, roll: Roll, path: KeyPath, desk: Desk) -> None:
    known = _known(section.organization, principals.organizations, "organization", path, desk)
    known &= _known(section.team, principals.teams, "team", path, desk)
    known &= _known(section.user, principals.users, "user", path, desk)
    if not known:
        return
    place = place_of(roll, organization=section.organization or "", team=section.team or "", user=section.user or "")
    if isinstance(place, str):
        if not place.endswith("is disabled"):
            desk.wrong(path, place)
    elif section.role == "team_admin" and not place.team:
        desk.wrong((*path, "role"), "a team's admin needs a team; name it in `team`")


def check_routes(routes: Sequence[str], path: KeyPath, desk: Desk) -> None:
    for j, route in enumerate(routes):
        if not route.startswith("/") and route not in OPERATIONS:
            near = hint(route, OPERATIONS)
            desk.wrong((*path, "routes", j), f'expected an operation, or a path such as "/v1/embeddings", got "{route}"{near}')


def resolve_proxies(written: Sequence[str], desk: Desk) -> tuple[str, ...]:
    return _networks(written, ("server", "trusted_proxies"), desk)


def resolve_jwt(sections: Sequence[JwtSection], desk: Desk) -> tuple[JwtConfig, ...]:
    found: list[JwtConfig] = []
    for i, section in enumerate(sections):
        path: KeyPath = ("auth", "jwt", i)
        issuer = desk.text(section.issuer, (*path, "issuer")) or ""
        if issuer and not _good_url(issuer):
            desk.wrong((*path, "issuer"), "expected an https:// URL without a query (http:// on this machine only)")
        if any(issuer == other.issuer for other in found):
            desk.wrong((*path, "issuer"), "this issuer is there already; name all audiences in one entry")
        jwks = desk.text(section.jwks, (*path, "jwks")) or "" if section.jwks is not None else ""
        if jwks and not _good_url(jwks):
            desk.wrong((*path, "jwks"), "expected an https:// URL without a query (http:// on this machine only)")
        if section.roles and section.claims.role is None:
            desk.wrong((*path, "roles"), "without `claims.role` nobody has one of these", key=True)
        found.append(
            JwtConfig(
                issuer=issuer,
                audience=tuple(section.audience),
                jwks=jwks,
                algorithms=tuple(dict.fromkeys(section.algorithms)),
                user=section.claims.user,
                team=section.claims.team or "",
                organization=section.claims.organization or "",
                role=section.claims.role or "",
                roles=section.roles,
                models=tuple(section.models),
                skew_s=section.skew_s,
            )
        )
    return tuple(found)


def _good_url(text: str) -> bool:
    """Whether keys may be fetched from there: nobody on the way must be able to put his own in their place."""
    try:
        parts = urlsplit(text)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        _ = parts.port
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and local)
    return secure and bool(parts.hostname) and "@" not in parts.netloc and not parts.query and not parts.fragment


def _models(models: Sequence[str], path: KeyPath, names: Names, desk: Desk) -> tuple[str, ...]:
    for j, model in enumerate(models):
        if "*" not in model and not names.leads(model):
            desk.wrong((*path, "models", j), f'unknown model "{model}"{names.near(model)}')
    return tuple(models)


def _networks(written: Sequence[str], path: KeyPath, desk: Desk) -> tuple[str, ...]:
    for j, text in enumerate(written):
        try:
            network(text)
        except ValueError as error:
            desk.wrong((*path, j), str(error))
    return tuple(written)


def _known(name: str | None, there: Mapping[str, object], kind: str, path: KeyPath, desk: Desk) -> bool:
    """Whether a name leads somewhere. The file stands for itself: what is stored may go away without a word to it."""
    if name is None or name in there:
        return True
    desk.wrong((*path, kind), f'unknown {kind} "{name}"{hint(name, there)}; declare it under "{kind}s"')
    return False


def _granted(limits: Sequence[LimitSection], budgets: Sequence[BudgetSection], path: KeyPath, desk: Desk) -> Granted:
    found = Granted(resolve_limits(limits, (*path, "limits"), desk), resolve_budgets(budgets, (*path, "budgets"), desk))
    return found if found.limits or found.budgets else NOTHING


def _grant(granted: dict[tuple[Level, str], Granted], level: Level, name: str, found: Granted) -> None:
    if found is not NOTHING:
        granted[level, name] = found


def _roll(principals: PrincipalsConfig) -> Roll:
    declared = Records(organizations=principals.organizations, teams=principals.teams, users=principals.users)
    return Roll(principals={}, barred={}, declared=declared, stored=Records())


def _unix(moment: datetime | None) -> int:
    """Seconds since 1970. Without a zone it is UTC's."""
    return 0 if moment is None else int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())

"""Stand-ins on loopback: an identity server that logs in by device and by browser and rotates refresh tokens, and the OB-1 API.

Modelled on https://workos.com/docs/reference/authkit/cli-auth and https://workos.com/docs/authkit/session-resilience: a refresh
token is used once; used again within the grace it gives the same pair, later `invalid_grant`.
"""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from tests.serving import answer

CLIENT_ID = "client_01K8YDZSSKDMK8GYTEHBAW4N4S"


def jwt(**claims) -> str:
    """Unsigned, as far as anybody here looks."""
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{base64.urlsafe_b64encode(b'{}').rstrip(b'=').decode()}.{part}.c2ln"


class Http:
    """A small server: one method answers."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def reply(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        raise NotImplementedError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split("\r\n", 1)[0].split(" ")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.split("\r\n")[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.seen.append((method, path, headers, body))
                reply = await self.reply(method, path, headers, body)
                if not reply:
                    return  # cut off before an answer
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def told(document: object, status: int = 200) -> bytes:
    return answer(json.dumps(document).encode(), status=status)


class WorkOS(Http):
    """Logs anybody in who confirms; hands out `at-<user>-<n>` and `rt-<user>-<n>`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.clock = clock
        self.grace_s = 30.0
        self.life_s: float | None = 3600
        self.as_jwt = False
        self.polls: list[object] = []
        """What polls are told before the login is confirmed: an error's name, or ready bytes."""
        self.user = "ann"
        self.interval = 0
        self.expires_in = 60
        self.refreshes: list[str] = []
        """Refresh tokens that came, in order."""
        self.hook: Callable[[str], Awaitable[bytes | None]] | None = None
        """Called after a refresh was decided and before it is answered; what it returns is answered instead."""
        self.broken: Callable[[], Awaitable[bytes]] | None = None
        """Answers every token request, if set."""
        self._count = 0
        self._pairs: dict[str, tuple[float, dict]] = {}
        self._live: dict[str, str] = {}
        self._codes: dict[str, str] = {}
        self.valid: set[str] = set()
        """Access tokens that the API accepts."""

    def grant(self, user: str) -> dict:
        self._count += 1
        number = self._count
        now = self.clock()
        access = jwt(sub=user, n=number, iat=now, exp=now + (self.life_s or 3600)) if self.as_jwt else f"at-{user}-{number}"
        document = {
            "access_token": access,
            "refresh_token": f"rt-{user}-{number}",
            "user": {"id": f"user_{user}", "email": f"{user}@example.com"},
            "organization_id": None,
            "authentication_method": "MagicAuth",
        }
        if self.life_s is not None and not self.as_jwt:
            document["expires_in"] = self.life_s
        self._live[document["refresh_token"]] = user
        self.valid.add(access)
        return document

    def revoke(self, refresh_token: str) -> None:
        self._live.pop(refresh_token, None)

    async def reply(self, method, path, headers, body):
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        where = urlsplit(path)
        if where.path == "/authorize":
            return self._authorize({name: values[0] for name, values in parse_qs(where.query).items()})
        if form.get("client_id") != CLIENT_ID:
            return told({"error": "invalid_client", "error_description": "no such client"}, 400)
        if path == "/device":
            return told(
                {
                    "device_code": f"dc-{self.user}",
                    "user_code": "ABCD-EFGH",
                    "verification_uri": f"{self.url}/activate",
                    "verification_uri_complete": f"{self.url}/activate?code=ABCD-EFGH",
                    "expires_in": self.expires_in,
                    "interval": self.interval,
                }
            )
        assert path == "/token", path
        if self.broken is not None:
            return await self.broken()
        match form.get("grant_type"):
            case "urn:ietf:params:oauth:grant-type:device_code":
                if self.polls:
                    next_one = self.polls.pop(0)
                    if isinstance(next_one, bytes):
                        return next_one
                    return told({"error": next_one, "error_description": f"it is {next_one}"}, 400)
                return told(self.grant(form["device_code"].removeprefix("dc-")))
            case "authorization_code":
                expected = self._codes.pop(form["code"], None)
                made = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
                return told(self.grant(self.user)) if made == expected else told({"error": "invalid_grant"}, 400)
            case "refresh_token":
                return await self._refresh(form["refresh_token"])
        return told({"error": "unsupported_grant_type"}, 400)

    async def _refresh(self, token: str) -> bytes:
        self.refreshes.append(token)
        used = self._pairs.get(token)
        if used is not None and self.clock() - used[0] < self.grace_s:
            reply = told(used[1])
        elif token in self._live:
            document = self.grant(self._live.pop(token))
            self._pairs[token] = (self.clock(), document)
            reply = told(document)
        else:
            reply = told({"error": "invalid_grant", "error_description": "Refresh token already exchanged."}, 400)
        if self.hook is not None and (instead := await self.hook(token)) is not None:
            return instead
        return reply

    def _authorize(self, query: dict[str, str]) -> bytes:
        if query["client_id"] != CLIENT_ID or query["code_challenge_method"] != "S256":
            return told({"error": "invalid_request"}, 400)
        code = f"code-{len(self._codes)}"
        self._codes[code] = query["code_challenge"]
        target = f"{query['redirect_uri']}?code={code}&state={query['state']}"
        return answer(b"", status=302, headers=f"location: {target}\r\n")


class Ob1(Http):
    """The API: `Bearer token:org`, organisations, chat completions."""

    def __init__(self, workos: WorkOS) -> None:
        super().__init__()
        self.workos = workos
        self.organizations = [{"organizationId": "org_7", "organizationName": "Seven"}]
        self.answers: dict[str, bytes] = {}
        """Access token → what is answered in place of a completion."""
        self.bearers: list[str] = []
        """Of chat completions, in order."""
        self.models = ("anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.6", "anthropic/claude-opus-4.6", "openai/gpt-5")
        self.stream: tuple[str, ...] = ()
        """What a streamed completion is, event by event."""

    async def reply(self, method, path, headers, body):
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        token, _, org = bearer.partition(":")
        if path.startswith("/api/v1/auth/organizations"):
            if token not in self.workos.valid:
                return told({"error": "unauthorized"}, 401)
            return told({"data": self.organizations})
        if path == "/api/v1/models":
            return told({"data": [{"id": name, "name": name} for name in self.models]} if token in self.workos.valid else {}, 200)
        assert (method, path) == ("POST", "/api/v1/chat/completions")
        assert headers["http-referer"] == "https://github.com/delta-hq/ob1"
        assert headers["x-title"] == "OB1 CLI"
        self.bearers.append(bearer)
        if token in self.answers:
            return self.answers[token]
        if token not in self.workos.valid or (self.organizations and org != "org_7"):
            return told({"error": {"message": f"token {bearer} is not good", "code": 401}}, 401)
        if json.loads(body).get("stream"):
            return answer("".join(self.stream).encode(), content_type="text/event-stream")
        return told(
            {
                "id": "gen-1",
                "object": "chat.completion",
                "created": 1,
                "model": json.loads(body)["model"],
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
            }
        )


@asynccontextmanager
async def listening(*servers: Http) -> AsyncIterator[None]:
    """Each on a free port."""
    listeners = []
    for server in servers:
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        listeners.append(listener)
    try:
        yield
    finally:
        for listener in listeners:
            listener.close()

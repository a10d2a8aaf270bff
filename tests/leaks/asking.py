"""Requests over one connection after the other; a body that is cut is what came of it."""

import http.client
import json
from typing import Any


class Answer:
    def __init__(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.status = status
        self.headers = headers
        self.content = content

    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def head(self) -> str:
        return json.dumps(self.headers)


class Client:
    def __init__(self, port: int) -> None:
        self.port = port

    def request(self, method: str, path: str, document: object = None, headers: dict[str, str] | None = None) -> Answer:
        """Raises OSError where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            body = None if document is None else json.dumps(document).encode()
            connection.request(method, path, body, {"content-type": "application/json", **(headers or {})})
            got = connection.getresponse()
            try:
                content = got.read()
            except http.client.IncompleteRead as error:
                content = error.partial
            return Answer(got.status, got.getheaders(), content)
        finally:
            connection.close()

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self.request("GET", path, None, headers)

    def post(self, path: str, document: object = None, headers: dict[str, str] | None = None) -> Answer:
        return self.request("POST", path, document, headers)

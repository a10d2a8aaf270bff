"""The official Node SDKs, in one Node process, by JSON lines.

One rule: the scripts run beside their packages, outside the checkout.
"""

import base64
import dataclasses
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests import npm
from tests.sdk.talk import Called, Failed, Heard, Place, Wish

SOURCE = Path(__file__).parent.parent / "node"


def installed() -> Path:
    """The folder with the scripts and their packages. Raises NpmMissing."""
    folder = npm.installed(SOURCE, "node")
    for script in SOURCE.glob("*.mjs"):
        shutil.copy(script, folder / script.name)
    return folder


class NodeProcess:
    """Orders one at a time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._talks = 0

    def order(self, **fields: object) -> dict:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(fields) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "failed" in answer:
            raise Failed(**answer["failed"])
        assert "broken" not in answer, answer["broken"]
        return answer

    def open(self, client: str, place: Place) -> "NodeTalk":
        self._talks += 1
        self.order(op="open", talk=self._talks, client=client, url=place.url, key=place.key, model=place.model)
        return NodeTalk(self, self._talks)


@contextmanager
def node() -> Iterator[NodeProcess]:
    """A Node process with all the clients. Raises NpmMissing."""
    command = ["node", "talk.mjs"]
    with subprocess.Popen(command, cwd=installed(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield NodeProcess(process)
        finally:
            process.kill()


def run_tools(process: NodeProcess, client: str, place: Place, *, stream: bool) -> str:
    """The answer after the SDK ran its tools by itself."""
    asked = {"url": place.url, "key": place.key, "model": place.model, "stream": stream}
    text: str = process.order(op="run_tools", client=client, **asked)["text"]
    return text


class NodeTalk:
    def __init__(self, process: NodeProcess, number: int) -> None:
        self._process = process
        self._number = number

    def send(self, text: str, wish: Wish, images: tuple[bytes | str, ...] = ()) -> Heard:
        shown = [{"url": image} if isinstance(image, str) else {"base64": base64.b64encode(image).decode()} for image in images]
        return heard(
            self._process.order(op="send", talk=self._number, text=text, wish=dataclasses.asdict(wish), images=shown)["heard"]
        )

    def give(self, results: Mapping[str, str]) -> Heard:
        return heard(self._process.order(op="give", talk=self._number, results=list(results.items()))["heard"])

    def move(self, model: str) -> None:
        self._process.order(op="move", talk=self._number, model=model)

    def count(self, text: str) -> int | None:
        found: int | None = self._process.order(op="count", talk=self._number, text=text)["count"]
        return found

    def close(self) -> None:
        self._process.order(op="close", talk=self._number)


def heard(told: dict) -> Heard:
    return Heard(**told | {"calls": tuple(Called(**call) for call in told.get("calls", ()))})

"""The columns of the lab: who asks in which form, what the upstream speaks, and whether there is another target."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from gatewright.ir.blocks import DialectName
from tests.faults.fault import LIMIT_S, PATIENCE_S, Fault
from tests.faults.saying import DIALECTS, SECRET
from tests.plays import wires
from tests.plays.wires import dump

FOREIGN: Final[dict[DialectName, DialectName]] = {
    "openai_chat": "anthropic",
    "openai_responses": "bedrock_converse",
    "anthropic": "gemini",
    "gemini": "openai_chat",
    "bedrock_converse": "openai_responses",
}
"""Each client's other upstream dialect; every one is somebody's."""


class Cell(NamedTuple):
    """One column."""

    client: DialectName
    upstream: DialectName
    stream: bool
    safe: bool
    """There is a second target, and it works."""

    @property
    def name(self) -> str:
        """The model that a client asks for; its targets are `…-a/m` and `…-b/m`."""
        form = "s" if self.stream else "w"
        return f"{DIALECTS.index(self.client)}{DIALECTS.index(self.upstream)}{form}{'2' if self.safe else '1'}"

    @property
    def other(self) -> DialectName:
        """What the second target speaks: bytes that passed must cross then, and those that crossed pass."""
        return FOREIGN[self.client] if self.client == self.upstream else self.client

    def __str__(self) -> str:
        return f"{self.client} → {self.upstream}, {'streamed' if self.stream else 'whole'}, {'two targets' if self.safe else 'alone'}"


CELLS: Final = tuple(
    Cell(client, upstream, stream, safe)
    for safe in (False, True)
    for stream in (False, True)
    for client in DIALECTS
    for upstream in (client, FOREIGN[client])
)


def cells_of(fault: Fault) -> Iterator[Cell]:
    """The columns in which a fault can happen."""
    return (cell for cell in CELLS if cell.stream in fault.forms and cell.upstream in fault.dialects)


def some_of(fault: Fault, turn: int) -> list[Cell]:
    """A share of them for a suite that runs often: of each form and route two, other ones for other turns."""
    chosen: list[Cell] = []
    for stream, safe in ((False, False), (False, True), (True, False), (True, True)):
        group = [cell for cell in cells_of(fault) if (cell.stream, cell.safe) == (stream, safe)]
        chosen += [group[(turn + i * (len(group) // 2)) % len(group)] for i in range(min(2, len(group)))]
    return list(dict.fromkeys(chosen))


def asking(cell: Cell) -> tuple[str, bytes]:
    """(path, body) of the client's request."""
    if cell.client == "bedrock_converse":
        body = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
        return f"/model/{cell.name}/converse{'-stream' if cell.stream else ''}", dump(body)
    path, document = wires.request(cell.client, cell.name, stream=cell.stream)
    return path, dump(document)


def _provider(name: str, dialect: DialectName, port: int) -> str:
    base = f"http://127.0.0.1:{port}/{name}"
    told = {
        "openai_chat": f"kind: openai, dialects: [openai_chat], base_url: '{base}/v1'",
        "openai_responses": f"kind: openai, dialects: [openai_responses], base_url: '{base}/v1'",
        "anthropic": f"kind: anthropic, base_url: '{base}'",
        "gemini": f"kind: gemini, base_url: '{base}'",
        "bedrock_converse": f"kind: bedrock, region: us-east-1, dialects: [bedrock_converse], base_url: '{base}'",
    }[dialect]
    return f"  {name}: {{{told}, api_key: {SECRET}}}"


def configuration(first_port: int, second_port: int) -> str:
    """Every cell's own targets: no breaker, rest or connection of one is another's."""
    providers = [_provider(f"{cell.name}-a", cell.upstream, first_port) for cell in CELLS]
    providers += [_provider(f"{cell.name}-b", cell.other, second_port) for cell in CELLS if cell.safe]
    models = [
        f"  '{cell.name}': {{targets: [{cell.name}-a/m]{f', fallback: [{cell.name}-b/m]' if cell.safe else ''}}}"
        for cell in CELLS
    ]
    limits = f"connect_s: {LIMIT_S}, headers_s: {LIMIT_S}, first_event_s: {LIMIT_S}, idle_s: {LIMIT_S}, total_s: {2 * LIMIT_S}"
    retry = f"{{tries_each: 2, tries_all: 6, base_s: 0.02, cap_s: 0.05, patience_s: {PATIENCE_S}}}"
    return "\n".join(
        (
            "providers:",
            *providers,
            "models:",
            *models,
            f"timeouts: {{{limits}}}",
            f"routing: {{retry: {retry}, deadline_s: 60}}",
            "model_lists: {live: false}",
        )
    )

"""Law 8: cross renderings are golden files. `python -m tests.laws.golden` (`make golden`) writes them anew: a reviewed diff.

One rule: only the project's own corpus is kept here; recordings are never committed, and neither are renderings of them.
"""

import json
import sys
from pathlib import Path

from gatewright.errors import GatewrightError
from gatewright.ir.blocks import DialectName
from gatewright.ir.fold import unfold
from gatewright.ir.loss import Loss
from gatewright.jsontypes import JsonValue
from gatewright.wire import json as wire_json
from tests.laws import cases, laws
from tests.laws.dialects import DIALECTS
from tests.laws.framing import lines_of
from tests.laws.seen import Seen, client_request, see

ROOT = Path(__file__).parent / "golden"


def file_of(origin: DialectName, name: DialectName, case_id: str) -> Path:
    return ROOT / f"{origin}-to-{name}" / f"{case_id}.json"


def rendering(seen: Seen, name: DialectName) -> str:
    """Everything that this case becomes for `name`: the request for an upstream, the answer and the stream for a client."""
    document: dict[str, JsonValue] = {}
    if seen.request is not None:
        try:
            asked = laws.rendered_request(seen, name)
            document["request"] = {
                "path": asked.path,
                "headers": [list(header) for header in asked.headers],
                "body": asked.body,
                "losses": _losses(asked.losses),
            }
        except GatewrightError as refused:
            document["request"] = {"refused": refused.problem.message}
    if seen.answer is not None:
        if seen.problem is None:
            told = DIALECTS[name].render_response(seen.answer, client_request(seen, name, stream=False))
            document["answer"] = {"body": told.body, "losses": _losses(told.losses)}
        renderer = DIALECTS[name].stream_renderer(client_request(seen, name, stream=True))
        wire = renderer.render(seen.events or tuple(unfold(seen.answer)))
        lines: list[JsonValue] = [*lines_of(name, wire)]
        document["stream"] = {"lines": lines, "losses": _losses(tuple(renderer.losses))}
    if seen.problem is not None:
        failed = DIALECTS[name].render_error(seen.problem, "req_golden")
        headers: list[JsonValue] = [list(header) for header in failed.headers]
        document["error"] = {"status": failed.status, "headers": headers, "body": wire_json.decode(failed.body)}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _losses(losses: tuple[Loss, ...]) -> list[JsonValue]:
    return [f"{loss.path} ({loss.weight}): {loss.why}" for loss in losses]


def main() -> int:
    kept: set[Path] = set()
    for place, path in cases.files():
        if place != "corpus":
            continue
        seen = see(place, path)
        for name in laws.others(seen):
            file = file_of(seen.case.dialect, name, seen.case.id)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(rendering(seen, name), encoding="utf-8")
            kept.add(file)
    for stale in set(ROOT.glob("*/*.json")) - kept:
        stale.unlink()
    print(f"{len(kept)} golden files")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`make check`'s look at what no tool looks at: every relative link leads somewhere, every named file exists, generated pages are
current, and no source file is long without a reason.
"""

import re
import sys
from pathlib import Path

from tests.docs.generate import PAGES

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_FILE = re.compile(r"`((?:src|tests|docs|bench|corpus)/[\w./*-]+)`")
_REASON = re.compile(r"^(?:#|//) over 400 lines: \S", re.MULTILINE)
_SOURCES = {".py", ".mjs", ".js", ".ts"}
_SKIP = {".venv", "node_modules", ".git", ".bench-work"}


def documents() -> list[Path]:
    return [p for p in ROOT.rglob("*.md") if not _SKIP & set(p.relative_to(ROOT).parts)]


def broken_links(document: Path) -> list[str]:
    """Relative links and back-quoted paths that lead nowhere."""
    text = document.read_text(encoding="utf-8")
    found = []
    for target in _LINK.findall(text):
        if "://" not in target and not target.startswith("mailto:") and not (document.parent / target).exists():
            found.append(f"{document.relative_to(ROOT)}: link to {target} leads nowhere")
    for named in _FILE.findall(text):
        if "*" not in named and not (ROOT / named).exists():
            found.append(f"{document.relative_to(ROOT)}: `{named}` does not exist")
    return found


def stale_pages() -> list[str]:
    """Generated pages that differ from what would be generated now."""
    return [
        f"docs/{name} is stale: run `python -m tests.docs.generate`"
        for name, page in PAGES.items()
        if not (ROOT / "docs" / name).is_file() or (ROOT / "docs" / name).read_text(encoding="utf-8") != page()
    ] + [
        f"docs/providers/{page.name} is of no host"
        for page in (ROOT / "docs" / "providers").glob("*.md")
        if f"providers/{page.name}" not in PAGES
    ]


def long_files(root: Path = ROOT) -> list[str]:
    """Source files over 400 lines that do not say why in their first 20, as `# over 400 lines: <reason>`."""
    found = []
    for path in sorted(p for folder in ("src", "tests") for p in (root / folder).rglob("*") if p.suffix in _SOURCES):
        lines = [] if _SKIP & set(path.relative_to(root).parts) else path.read_text(encoding="utf-8").splitlines()
        if len(lines) > 400 and not _REASON.search("\n".join(lines[:20])):
            found.append(
                f"{path.relative_to(root)}: {len(lines)} lines: split it along an idea, or say why not: `# over 400 lines: <reason>`"
            )
    return found


def main() -> None:
    problems = [line for document in documents() for line in broken_links(document)] + stale_pages() + long_files()
    print("\n".join(problems) or f"{len(documents())} documents: good")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()

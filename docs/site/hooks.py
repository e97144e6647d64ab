"""What the site shows besides docs/: README, cards of datasets, examples; and what it refuses.

Links in pages are those of the checkout, so that they work there too; here they become links of
the site.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "CITATION.cff",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "SECURITY.md": "security.md",
    "datasets": "datasets/index.md",
    "examples": "tutorials/index.md",
}
"""Files and folders of the checkout outside docs/, and where they stand in the site."""


def in_site(path: str) -> str | None:
    """Where a file of the checkout stands in the site; None where it does not."""
    if path in MOVED:
        return MOVED[path]
    parts = PurePosixPath(path).parts
    if parts[0] == "docs":
        return "/".join(parts[1:])
    if parts[0] == "datasets" and parts[-1] == "README.md":
        return f"datasets/{parts[1]}.md"
    if parts[0] == "examples":
        return f"tutorials/{PurePosixPath(path).stem}.md"
    return None


def in_checkout(page: str) -> str:
    """Where a page of the site stands in the checkout."""
    there = {place: path for path, place in MOVED.items() if path != "examples"}
    parts = PurePosixPath(page).parts
    if page in there:
        return there[page]
    if parts[0] == "datasets":
        return f"datasets/{PurePosixPath(page).stem}/README.md"
    return f"docs/{page}"


def tutorial(script: Path) -> str:
    """Page of an example: title and text from its docstring, its code, and what came of it."""
    code = script.read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(code)) or ""
    first, _, rest = text.partition("\n")
    title = re.sub(r"[:.]? *(?:python examples/)?\w+\.py.*$", "", first).strip() or script.stem
    body = code.partition('"""\n')[2].lstrip("\n")
    release = re.search(r'argv\[1\].* else "([\w-]+)"', code)
    run = f"python examples/{script.name}" + (f" {release[1]}" if release else "")
    start = f"# {title}\n{rest}\n\nRun it after `make demo`:\n\n```\n{run}\n```\n\n"
    shown = ROOT / "docs" / "tutorials" / script.stem
    printed = shown.with_suffix(".txt").read_text(encoding="utf-8")
    end = f"It prints\n\n```text\n{printed}```\n"
    if shown.with_suffix(".png").exists():
        end += f"\n![What the script draws]({script.stem}.png)\n"
    return f"{start}```python\n{body}```\n\n{end}"


def cards(folder: Path) -> str:
    """Page with a line for each dataset: the first sentence of its card."""
    lines = ["# Datasets\n", "Each dataset has a card: licence, regions, pictures, whom to cite.\n"]
    lines += ["| dataset | what it is |\n|---|---|"]
    for card in sorted(folder.glob("*/README.md")):
        _, _, text = card.read_text(encoding="utf-8").partition("\n")
        start = " ".join(text.strip().partition("\n\n")[0].split())
        sentence = re.split(r"(?<=[.:])(?<!al\.) ", start)[0]
        name = card.parent.name
        told = sentence.rstrip(":.").replace("](../", "](")
        lines.append(f"| [{name}]({name}/README.md) | {told}. |")
    return "\n".join(lines) + "\n"


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that lie outside docs/."""
    pages = {
        MOVED[name]: (ROOT / name).read_text(encoding="utf-8")
        for name in MOVED
        if (ROOT / name).is_file()
    }
    pages[MOVED["datasets"]] = cards(ROOT / "datasets")
    for card in (ROOT / "datasets").glob("*/README.md"):
        pages[f"datasets/{card.parent.name}.md"] = card.read_text(encoding="utf-8")
    for script in (ROOT / "examples").glob("*.py"):
        pages[f"tutorials/{script.stem}.md"] = tutorial(script)
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Turn links of the checkout into links of the site."""
    here = page.file.src_uri
    if not markdown.strip():
        raise PluginError(f"{here} is empty")
    if here == MOVED["CHANGELOG.md"]:
        page.meta["search"] = {"boost": 0.1}  # it names everything, and is long
    folder = posixpath.dirname(in_checkout(here))
    if here == MOVED["datasets"]:
        folder = "datasets"

    def moved(link: re.Match[str]) -> str:
        target, anchor = link.group(1), link.group(2) or ""
        if "://" in target or target.startswith("mailto:"):
            return link.group()
        place = in_site(posixpath.normpath(posixpath.join(folder, target)))
        if place is None:
            raise PluginError(f"{here} links to {target}, which is not in the site")
        return f"]({posixpath.relpath(place, posixpath.dirname(here) or '.')}{anchor})"

    return re.sub(r"\]\(([^)#\s]+)(#[^)]*)?\)", moved, markdown)


def breakable(cell: re.Match[str]) -> str:
    """Cell of a table whose long names of code may break where their words end."""
    return re.sub(
        r"(?<=<code>)[^<]*",
        lambda code: re.sub(r"(?<=[/_:.])(?=[a-z])", "<wbr>", code.group()),
        cell.group(),
    )


def on_page_content(html: str, **_: Any) -> str:
    """Show names that docstrings mark with a role, ``:func:`.match```, as code; narrow tables."""
    html = re.sub(r":(?:attr|class|data|exc|func|meth|mod):(<code>)[.~]?", r"\1", html)
    return re.sub(r"<td[^>]*>.*?</td>", breakable, html, flags=re.DOTALL)


def on_post_page(output: str, *, page: Any, config: Any) -> str:  # noqa: ARG001
    """Refuse whatever a reader without a network would miss."""
    loaded = re.findall(
        r"<(?:script|img|iframe|link(?=[^>]*stylesheet))[^>]*(?:src|href)=\"?(https?:[^\s\">]+)",
        output,
    )
    if loaded:
        raise PluginError(
            f"{page.file.src_uri} loads from elsewhere: {', '.join(sorted(set(loaded)))}"
        )
    return output

"""Print how plain the pages are: words per sentence, and that, which and what per 100 words.

python docs/words.py                # the pages held to both limits
python docs/words.py docs/nn.md …   # others
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
MOST_WORDS, MOST_RELATIVES = 20.0, 2.0
"""Of a sentence on average, and of every 100 words."""


GENERATED = "commands recipes robustness schema"
"""Pages made of docstrings, descriptions and tables."""


def plain_pages() -> list[Path]:
    """Give the pages held to both limits."""
    docs = ROOT / "docs"
    written = [*docs.glob("*.md"), *docs.glob("start/*.md"), *docs.glob("howto/*.md")]
    first = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted(ROOT.glob("datasets/*/README.md")),
    ]
    return [*first, *sorted(page for page in written if page.stem not in GENERATED.split())]


def sentences(text: str) -> list[list[str]]:
    """Words of each sentence of prose; headings, code, tables and pictures are left out."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"!\[[^]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    items = re.split(r"\n\s*\n|^\s*(?:-|\d+\.)\s+", text, flags=re.MULTILINE)
    parts = [part for item in items for part in re.split(r"[.!?][*_)]*(?:\s|$)", item)]
    words = [re.findall(r"[\w’'-]+", part) for part in parts]
    return [found for found in words if found]


def measured(text: str) -> tuple[float, int, float]:
    """Mean and largest number of words of a sentence; that, which and what per 100 words."""
    found = sentences(text) or [[""]]  # of a page that is a table
    words = [word.lower() for sentence in found for word in sentence]
    relatives = sum(word in ("that", "which", "what") for word in words)
    return len(words) / len(found), max(map(len, found)), 100 * relatives / len(words)


if __name__ == "__main__":
    click.echo("words a sentence  longest  that/which/what in 100  page")
    for page in [Path(name) for name in sys.argv[1:]] or plain_pages():
        shown = page.resolve().relative_to(ROOT)
        mean, longest, relatives = measured(page.read_text(encoding="utf-8"))
        click.echo(f"{mean:16.1f} {longest:8} {relatives:23.1f}  {shown}")

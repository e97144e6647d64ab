"""Examples of docstrings run as they stand; what is public says what it returns."""

from __future__ import annotations

import doctest
import importlib
import inspect
from collections.abc import Iterator

import numpy as np
import pytest

import unitdb

ROOMS = (
    "",
    ".nn",
    ".plot",
    ".analysis",
    ".decoding",
    ".matching",
    ".candidates",
    ".imports",
    ".reference",
)


def public() -> Iterator[tuple[str, object]]:
    """Functions, classes and methods that the reference pages show, each once."""
    seen = set()
    for room in ROOMS:
        module = importlib.import_module(f"unitdb{room}")
        for name in module.__all__:
            value = getattr(module, name)
            found = [(f"{module.__name__}.{name}", value)]
            if inspect.isclass(value):
                found += [
                    (f"{module.__name__}.{name}.{key}", getattr(method, "__func__", method))
                    for key, method in inspect.getmembers(value)
                    if not key.startswith("_") and inspect.isroutine(method)
                ]
            for path, one in found:
                if id(one) not in seen and (getattr(one, "__module__", "") or "").startswith(
                    "unitdb"
                ):
                    seen.add(id(one))
                    yield path, one


PUBLIC = dict(public())
SHOWN = [path for path, one in PUBLIC.items() if ">>> " in (inspect.getdoc(one) or "")]


def test_examples_are_many():
    assert len(SHOWN) >= 50


@pytest.mark.parametrize("path", SHOWN)
def test_an_example_gives_what_it_says(path, tiny_release):
    names = {"release": unitdb.open(tiny_release), "unitdb": unitdb, "np": np}
    text = inspect.getdoc(PUBLIC[path])
    example = doctest.DocTestParser().get_doctest(text, names, path, None, None)
    printed: list[str] = []
    assert doctest.DocTestRunner().run(example, out=printed.append).failed == 0, "".join(printed)


def test_what_is_public_says_what_it_returns():
    silent = []
    for path, one in PUBLIC.items():
        if inspect.isfunction(one):
            text = inspect.getdoc(one) or ""
            given = inspect.signature(one).return_annotation not in (None, "None")
            if given and "Returns\n-------" not in text and "Yields\n------" not in text:
                silent.append(path)
    assert silent == []

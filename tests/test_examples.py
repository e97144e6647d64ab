"""Examples of docstrings run as they stand; what is public says what it returns."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
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
    ".reconstruction",
    ".reference",
    ".sources",
)

# What an example cannot run on here, or would only repeat, and who shows it instead.
_NEEDED = {
    "a release with identification, modulation or pictures: docs/tutorials, tests/pipeline": (
        "Release.predicted Release.identify Release.reconstructions "
        "plot.gallery plot.identification plot.identified plot.identified_by_roi plot.modulation"
    ),
    "a network, a dataset and minutes: README, docs/howto, docs/tutorials": (
        "score candidates.make_candidates candidates.make_file candidates.find_candidates "
        "candidates.open_candidates candidates.stored_sets candidates.layer_sha256 "
        "candidates.CandidateSet nn.most_exciting_images "
        "nn.load_generator nn.TrainedGenerator nn.Generator.load nn.published_transform"
    ),
    "files of a publication or a dataset: docs/howto": (
        "imports.find_sources imports.import_accuracies imports.read_accuracy "
        "imports.stage_accuracies imports.LayerAccuracies imports.Layout sources"
    ),
    "steps of a build and keys of recipes: docs/design.md, docs/recipes.md": (
        "reconstruction check_form identity"
    ),
    "torch's own methods of a module": "forward train target",
    "the class of all errors": "UnitdbError",
}
WITHOUT = {name for names in _NEEDED.values() for name in names.split()}


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
COURSES = ("unitdb.plot.lags", "unitdb.plot.overview", "unitdb.plot.timecourse")
SHOWN = [
    path
    for path, one in PUBLIC.items()
    if re.search(r">>> (?!.*doctest: \+SKIP)", inspect.getdoc(one) or "")
]


def shown(path: str, one: object) -> bool:
    """Whether it has an example of its own, or that of its class calls it."""
    owner, _, name = path.rpartition(".")
    of_class = inspect.getdoc(PUBLIC.get(owner)) or ""
    called = ">>> " in of_class and f".{name}(" in of_class.partition("Examples\n---")[2]
    return path in SHOWN or called


def excused(path: str) -> bool:
    """Whether it, its class, its room, or its own name is in the list."""
    parts = path.removeprefix("unitdb.").split(".")
    wholes = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    return bool(WITHOUT & (wholes | {parts[-1]}))


def test_what_is_public_has_an_example():
    functions = {path: one for path, one in PUBLIC.items() if inspect.isfunction(one)}
    silent = [path for path, one in functions.items() if not (shown(path, one) or excused(path))]
    assert silent == [], "add an example; tests/test_examples.py lists what cannot have one"


def test_no_excuse_is_stale():
    used = {name for name in WITHOUT if "." in name and f"unitdb.{name}" in SHOWN}
    known = {name for name in WITHOUT if "." in name and f"unitdb.{name}" not in PUBLIC}
    assert (used, known) == (set(), set())


@pytest.mark.parametrize("path", SHOWN)
def test_an_example_gives_what_it_says(path, tiny_release, tmp_path, request):
    folder = tiny_release
    if path in COURSES:
        folder = request.getfixturevalue("tiny_course_release")
    names = {"release": unitdb.open(folder), "unitdb": unitdb, "np": np, "folder": tmp_path}
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

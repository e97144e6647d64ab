"""Metadata of a release, read by the programs that they are for.

cff-1.2.0.schema.json is the schema of the Citation File Format (Druskat et al., CC-BY-4.0),
without its white space.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import bibtexparser
import jsonschema
import pytest
import yaml
from bibtexparser.middlewares import LatexDecodingMiddleware

from tests.metadata import CFF, check_citation, check_croissant, check_data_package
from tests.tiny import INFO, stage
from unitdb.errors import CorruptReleaseError, RecipeError
from unitdb.imports.layouts import LAYOUTS
from unitdb.publish import publish_release
from unitdb.recipes.authors import Author
from unitdb.release import Person, open_release
from unitdb.release.citing import NO_AUTHORS, bibtex
from unitdb.specs import Spec, read_spec

CIRCUMFLEX = "\u02c6"  # what pylatexenc makes of \\textasciicircum
AUTHORS = (
    Person(
        family="de la Doe",
        given="Jane Ö.",
        orcid="0000-0002-1825-0097",
        affiliation='University of "A & B": 50 % {x}',
    ),
    Person(family="Plato"),
    Person(family="Faces and Places, a_group #1", organisation=True),
)
TITLE = r"100 % of $x_1$: a {b} \c ~ ^ # & – 😀"


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("releases")
    signed = replace(
        INFO,
        name="signed",
        title=TITLE,
        authors=AUTHORS,
        doi="10.1234/a_b(c)",
        funding=("A foundation: grant #5",),
    )
    infos = {"signed": signed, "tiny": INFO}
    return {
        name: publish_release(stage(root / ".staging" / name), root, info=info)
        for name, info in infos.items()
    }


@pytest.mark.parametrize("name", ["signed", "tiny"])
@pytest.mark.parametrize("check", [check_croissant, check_data_package, check_citation])
def test_metadata_are_what_other_programs_read(releases, name, check):
    check(releases[name])


def test_authors_stand_in_all_metadata(releases):
    signed = releases["signed"]
    citation = yaml.safe_load((signed / "CITATION.cff").read_text())
    jsonschema.validate(citation, CFF)
    assert citation["authors"] == [
        {
            "family-names": "de la Doe",
            "given-names": "Jane Ö.",
            "orcid": "https://orcid.org/0000-0002-1825-0097",
            "affiliation": AUTHORS[0].affiliation,
        },
        {"family-names": "Plato"},
        {"name": "Faces and Places, a_group #1"},
    ]
    assert citation["doi"] == "10.1234/a_b(c)"
    assert citation["title"] == f"{TITLE} (simulated)"
    croissant = json.loads((signed / "croissant.json").read_text())
    names = ["Jane Ö. de la Doe", "Plato", "Faces and Places, a_group #1"]
    assert [creator["name"] for creator in croissant["creator"]] == names
    assert croissant["identifier"] == "https://doi.org/10.1234/a_b(c)"
    assert croissant["funding"] == [{"@type": "sc:Grant", "name": "A foundation: grant #5"}]
    package = json.loads((signed / "datapackage.json").read_text())
    assert [contributor["title"] for contributor in package["contributors"]] == names
    assert package["id"] == "https://doi.org/10.1234/a_b(c)"
    bids = json.loads((signed / "dataset_description.json").read_text())
    assert (bids["Authors"], bids["DatasetDOI"]) == (names, "doi:10.1234/a_b(c)")
    assert bids["Funding"] == ["A foundation: grant #5"]
    release = open_release(signed)
    assert release.authors == release.describe().authors == names
    readme = (signed / "README.md").read_text()
    assert all(name in readme for name in names)


def test_without_authors_none_is_made_up(releases):
    tiny = releases["tiny"]
    citation = yaml.safe_load((tiny / "CITATION.cff").read_text())
    jsonschema.validate(citation, CFF)
    assert citation["authors"] == [{"name": NO_AUTHORS}]
    assert NO_AUTHORS in (tiny / "README.md").read_text()
    assert NO_AUTHORS in str(open_release(tiny).describe())
    assert NO_AUTHORS in open_release(tiny).bibtex()
    assert "author =" not in open_release(tiny).bibtex()
    assert "creator" not in json.loads((tiny / "croissant.json").read_text())
    assert "contributors" not in json.loads((tiny / "datapackage.json").read_text())
    assert "Authors" not in json.loads((tiny / "dataset_description.json").read_text())


def test_bibtex_is_parsed_to_what_was_meant(releases):
    entry, parsed = parse(open_release(releases["signed"]).bibtex())
    assert parsed["title"] == f"{TITLE} (simulated)".replace("^", CIRCUMFLEX)
    assert parsed["doi"] == "10.1234/a_b(c)"
    assert entry["author"].count(" and ") == 3  # one of them in the braces of a name
    assert "{Faces and Places, a\\_group \\#1}" in entry["author"]
    assert entry["author"].startswith("{de la Doe}, Jane Ö. and ")


@pytest.mark.parametrize(
    "text", [TITLE, "}", "{", "\\", "a\nb\t c", '"', "100%", "@misc{a, b = {c}}"]
)
def test_no_text_breaks_the_entry(text):
    written = bibtex(
        name="a-b", version="1.0.0", title=text, citation=text, simulated=False, authors=AUTHORS
    )
    _, parsed = parse(written)
    meant = " ".join(text.split()).replace("^", CIRCUMFLEX)
    assert parsed["title"] == parsed["note"] == meant


def parse(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Fields of an entry as they stand there, and as LaTeX prints them."""
    raw = bibtexparser.parse_string(text)
    assert (len(raw.entries), len(raw.failed_blocks)) == (1, 0)
    found = bibtexparser.parse_string(text, append_middleware=[LatexDecodingMiddleware()])
    as_it_stands, printed = (
        {field.key: field.value for field in library.entries[0].fields} for library in (raw, found)
    )
    return as_it_stands, printed


class Authors(Spec):
    authors: list[Author]


def test_identifiers_are_read_as_people_paste_them(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "authors:\n"
        "  - {name: 'Doe, Jane', orcid: https://orcid.org/0000-0002-1694-233X}\n"
        "  - {organisation: A group}\n"
    )
    first, second = (author.person() for author in read_spec(path, Authors, RecipeError).authors)
    assert first == Person(family="Doe", given="Jane", orcid="0000-0002-1694-233X")
    assert second == Person(family="A group", organisation=True)


@pytest.mark.robust(
    "recipes",
    given="an ORCID with a wrong check character, `Jane Doe` for `Doe, Jane`, no name at all",
    before="no key for authors",
    now="an error with key and value: which of two names is the family's is not guessed",
)
@pytest.mark.parametrize(
    ("author", "message"),
    [
        ("{name: 'Doe, J', orcid: 0000-0002-1825-0098}", "authors.0.orcid: is no ORCID.*0098"),
        ("{name: 'Doe, J', orcid: 0000-0002-1694-2330}", "is no ORCID"),
        ("{name: 'Doe, J', orcid: 0000-0002-1825}", "orcid"),
        ("{name: Jane Doe}", "authors.0.name: write the family name first, as in 'Doe, Jane'"),
        ("{name: 'Doe, Jane, PhD'}", "family name first"),
        ("{name: ', Jane'}", "a name is missing"),
        ("{name: ''}", "authors.0.name"),
        ('{name: "Doe, \\u001b[31m"}', "a control character"),
        ("{affiliation: X}", "give `name` .a person. or `organisation`"),
        ("{name: Plato, organisation: X}", "one of them"),
        ("{organisation: X, orcid: 0000-0002-1825-0097}", "are of persons"),
        ("{name: 2019}", "put it in quotes"),
    ],
)
def test_what_is_no_author_is_refused(tmp_path, author, message):
    path = tmp_path / "a.yaml"
    path.write_text(f"authors: [{author}]")
    with pytest.raises(RecipeError, match=message):
        read_spec(path, Authors, RecipeError)


def test_damaged_authors_are_one_error(releases, tmp_path):
    manifest = json.loads((releases["tiny"] / "datapackage.json").read_text())
    for wrong in ("x", [1], [{}], [{"family": 1}], [{"family": "a", "b": "c"}], {"family": "a"}):
        manifest["unitdb"]["authors"] = wrong
        (tmp_path / "datapackage.json").write_text(json.dumps(manifest))
        with pytest.raises(CorruptReleaseError, match=r"datapackage\.json"):
            open_release(tmp_path)


def test_imports_carry_the_authors_of_the_publication():
    for layout in LAYOUTS.values():
        first = layout.citation.split(",")[0].split("&")[0]
        assert layout.authors[0].family == first
        assert layout.authors[-1].family == "Kamitani"

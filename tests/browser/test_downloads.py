from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

pytest.importorskip("starlette", reason="needs unitdb[app]")

from starlette.applications import Starlette

from unitdb.browser import _downloads, _search, routes
from unitdb.browser._downloads import streamed
from unitdb.browser._search import Search
from unitdb.release import open_release

SEARCH = Search(dataset=("sim-a",), roi=("V4",), minimum=0.1)


@pytest.fixture
def answer(tiny_release: Path, monkeypatch: pytest.MonkeyPatch):
    """What the server says to a request: status, headers and body."""
    import asyncio

    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_release))

    def asked(path: str, query: str) -> tuple[int, dict[str, str], bytes]:
        application = Starlette(routes=routes())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [],
            "scheme": "http",
            "server": ("127.0.0.1", 1),
        }
        sent: list[dict] = []

        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message) -> None:
            sent.append(message)

        asyncio.run(application(scope, receive, send))
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], headers, body

    return asked


def test_files_are_the_rows_of_the_query(answer, tiny_release: Path) -> None:
    expected = SEARCH.units(open_release(tiny_release)).to_pandas()
    status, headers, csv = answer("/download/units.csv", SEARCH.parameters())
    assert status == 200
    assert headers["content-disposition"] == 'attachment; filename="tiny-1.0.0-units.csv"'
    assert csv.startswith(b"# release: tiny@1.0.0\n# simulated: true\n")
    found = pd.read_csv(io.BytesIO(csv), comment="#")
    assert found["unit_id"].tolist() == expected["unit_id"].tolist()
    _, _, parquet = answer("/download/units.parquet", SEARCH.parameters())
    table = pq.read_table(io.BytesIO(parquet))
    assert table["unit_id"].to_pylist() == expected["unit_id"].tolist()
    assert table.schema.metadata[b"unitdb:release"] == b"tiny@1.0.0"


def test_masks_are_the_units_of_the_query(answer, tiny_release: Path) -> None:
    torch = pytest.importorskip("torch")
    expected = set(SEARCH.units(open_release(tiny_release)).to_pandas()["unit_id"])
    _, _, npz = answer("/download/units.npz", SEARCH.parameters())
    with np.load(io.BytesIO(npz)) as masks:
        arrays = {name: masks[name] for name in masks}
    _, _, pt = answer("/download/units.pt", SEARCH.parameters())
    tensors = torch.load(io.BytesIO(pt), weights_only=True)
    assert arrays.keys() == tensors.keys()
    assert arrays["conv1"].shape == (2, 3, 3)
    for name, mask in arrays.items():
        assert mask.dtype == bool
        assert np.array_equal(mask, tensors[name].numpy())
    found = {f"net/{name}/{unit}" for name, mask in arrays.items() for unit in np.flatnonzero(mask)}
    assert found == expected
    assert answer("/download/units.npz", SEARCH.parameters())[2] == npz
    assert list(arrays) == list(SEARCH.units(open_release(tiny_release)).masks())


def test_large_results_are_not_sorted(
    answer, tiny_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_downloads, "_SORTED", 3)
    expected = SEARCH.units(open_release(tiny_release)).to_pandas()
    _, _, csv = answer("/download/units.csv", SEARCH.parameters())
    found = pd.read_csv(io.BytesIO(csv), comment="#")
    assert sorted(found["unit_id"]) == sorted(expected["unit_id"])


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("/download/units.exe", "", 404, b"csv"),
        ("/download/units.csv", "roi=V44", 400, b"did you mean 'V4'"),
        ("/download/units.csv", "roi=%27%3B+DROP+TABLE+accuracy", 400, b"unknown roi"),
        ("/download/units.csv", "by=x", 400, b"mean_r"),
        ("/download/units.csv", "rows=9-1", 400, b"falls"),
        ("/download/units.csv", "release=other@1.0.0&roi=V4", 400, b"'other@1.0.0' is not the one"),
    ],
)
def test_wrong_requests_are_refused(answer, path, query, status, said) -> None:
    found, headers, body = answer(path, query)
    assert found == status
    assert said in body
    assert headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("asked", ["tiny", "tiny@1.0.0"])
def test_the_release_that_is_served_may_be_named(answer, asked: str) -> None:
    assert answer("/download/units.csv", f"release={asked}&roi=V4")[0] == 200


def test_without_a_release_it_asks_which(answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNITDB_RELEASE")
    assert answer("/download/units.csv", "")[0] == 400


def test_bytes_arrive_while_they_are_written() -> None:
    step = threading.Event()

    def write(file) -> None:
        file.write(b"first")
        file.flush()
        assert step.wait(20)
        file.write(b"second")

    parts = streamed(write)
    assert next(parts) == b"first"
    step.set()
    assert b"".join(parts) == b"second"


def test_an_error_in_the_middle_is_raised_behind_what_was_written() -> None:
    def write(file) -> None:
        file.write(b"some")
        raise ValueError("damaged")

    parts = streamed(write)
    assert next(parts) == b"some"
    with pytest.raises(ValueError, match="damaged"):
        next(parts)


def test_a_reader_who_leaves_ends_the_writing() -> None:
    ended = threading.Event()

    def write(file) -> None:
        try:
            while True:
                file.write(b"x" * 2**16)
        finally:
            ended.set()

    parts = streamed(write)
    next(parts)
    parts.close()
    assert ended.wait(20)


def test_what_the_page_refuses_is_no_file(answer, monkeypatch: pytest.MonkeyPatch) -> None:
    for what in _search.MOST:
        monkeypatch.setitem(_search.MOST, what, 40)
    status, _, body = answer("/download/units.csv", "subject=S1&subject=S2")
    assert status == 400
    assert b"Choose a layer" in body
    for query in ("subject=S1&subject=S2&layer=*", "layer=c%3Fnv1"):
        status, _, body = answer("/download/units.csv", query)
        assert status == 400
        assert b"not patterns" in body
    for query in ("subject=S1", "subject=S1&subject=S1"):
        status, _, body = answer("/download/units.csv", query)
        assert status == 200

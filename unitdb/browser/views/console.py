"""SQL over the tables of the release, read-only, with limits of time, rows and memory."""

from __future__ import annotations

import io
import threading
import time
from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import _links, _state
from unitdb.errors import UnitdbError
from unitdb.query import export
from unitdb.schema import TABLES, VIEWS
from unitdb.unitids import UNIT_ID_SQL

if TYPE_CHECKING:
    import pyarrow as pa

    from unitdb.release import Release

__all__ = ["MEMORY", "MOST_ROWS", "SECONDS", "show"]

MOST_ROWS = 1000
SECONDS = 10.0
MEMORY = "256MB"
"""Of each query, which has a process of its own."""
_TWO_AT_A_TIME = threading.BoundedSemaphore(2)
_LONGEST = 5000
EXAMPLES = {
    "The best-decoded layer of each ROI": (
        "SELECT roi, model, arg_max(layer, r) AS best_layer, max(r) AS mean_r\n"
        "FROM (SELECT roi, model, layer, avg(mean_r) AS r FROM layer_summary GROUP BY ALL)\n"
        "GROUP BY roi, model ORDER BY roi, model"
    ),
    "Agreement of subjects by layer": (
        "SELECT model, layer, roi, avg(pearson_r) AS agreement, count(*) AS pairs\n"
        "FROM intersubject GROUP BY ALL ORDER BY agreement DESC"
    ),
    "Ten best units of a layer and ROI": (
        f"SELECT {UNIT_ID_SQL} AS unit_id, roi, mean_r, min_r\n"  # noqa: S608
        "FROM unit_summary WHERE rank <= 10 AND (layer, roi) =\n"
        "  (SELECT (layer, roi) FROM layer_summary ORDER BY mean_r DESC LIMIT 1)\n"
        "ORDER BY mean_r DESC"
    ),
    "What is in a table": "DESCRIBE unit_summary",
}


def show(release: Release) -> None:
    """Draw the page."""
    st.caption(
        f"Read-only: one SELECT of DuckDB's SQL over this release's tables; {MOST_ROWS:,} rows, "
        f"{SECONDS:g} seconds and {MEMORY} of memory at the most."
    )
    example = _state.one_of(st, "Example", "example", list(EXAMPLES), drops=("sql",))
    given = _state.parameter("sql")
    if given is not None and len(given) > _LONGEST:
        st.warning(f"The query in this link is longer than {_LONGEST:,} characters.")
    query = st.text_area(
        "SQL", value=(given or "")[:_LONGEST] or EXAMPLES[example], height=160, max_chars=_LONGEST
    )
    run = st.button("Run", type="primary", icon=":material/play_arrow:")
    if run:
        _state.write({"sql": query})
    if run or given:
        _results(release, query)
    with st.expander("Tables and columns", icon=":material/table:"):
        for name in (*release.tables, *release.views):
            spec = VIEWS[name] if name in VIEWS else TABLES[name]
            st.markdown(f"**{name}**: a row is {spec.row}")
            columns = [f"{column.name} ({column.logical_type})" for column in spec.columns]
            st.caption(_state.plain(", ".join(columns)))
    with st.expander("Link", icon=":material/link:"):
        link = _links.absolute(release, "sql", _links.query_of({"sql": query}))
        st.code(link, language=None, wrap_lines=True)


def _results(release: Release, query: str) -> None:
    started = time.perf_counter()
    try:
        with _TWO_AT_A_TIME:
            found = release.sql_arrow(query, timeout=SECONDS, limit=MOST_ROWS + 1, memory=MEMORY)
    except UnitdbError as error:
        st.error("This query was not run to its end.")
        st.code(str(error), language=None, wrap_lines=True)
        return
    more = found.num_rows > MOST_ROWS
    found = found.slice(0, MOST_ROWS)
    seconds = time.perf_counter() - started
    cut = f"the first {MOST_ROWS:,} rows" if more else f"{found.num_rows:,} rows"
    st.caption(f"{cut} in {seconds:.2f} s")
    st.dataframe(found.to_pandas(), hide_index=True, alt="Result of the query")
    st.download_button(
        "CSV of these rows",
        lambda: _csv(found),
        file_name=f"{release.name}-{release.version}-query.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def _csv(found: pa.Table) -> bytes:
    written = io.BytesIO()
    export.write_csv(found, written)
    return written.getvalue()

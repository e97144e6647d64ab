"""Blind judgement: which of two pictures a reconstruction is of."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser import _links, _reads
from unitdb.browser._choices import chosen_in_turn, mean_first
from unitdb.browser._gallery import LABELS, PLACE
from unitdb.browser._judging import Question, choices_csv, questions

if TYPE_CHECKING:
    from unitdb.release import Release

__all__ = ["show"]

_WIDTH = 400
"""Of three pictures, in pixels: all are on one screen, side by side on a narrow one too."""

_ROW = "display:flex;gap:1rem;justify-content:center"
_IMAGE = (
    "width:calc(50% - .5rem);aspect-ratio:1;image-rendering:pixelated;object-fit:contain;"
    "display:block"
)
_KEPT = "judged"


def show(release: Release) -> None:
    """Draw the page."""
    scores = _reads.table(release, "reconstruction_score")
    if scores.empty:
        st.info("This release has no reconstructions.")
        return
    st.markdown(
        "Which of the two pictures below is the upper one a reconstruction of? Pictures from "
        "shuffled brains are among them, and are not marked. Your choices are in this page alone, "
        "until it is loaded again: download them, and `unitdb judge FILE.csv` gives the rates."
    )
    chosen, _ = chosen_in_turn(scores, LABELS, options=mean_first)
    _judge(release, chosen)
    with st.expander("Link", icon=":material/link:"):
        query = _links.query_of(chosen)
        st.code(_links.absolute(release, "judging", query), language=None, wrap_lines=True)


def _judge(release: Release, chosen: dict[str, str]) -> None:
    """Ask who judges, then one question after another."""
    rater = st.text_input("Who judges", key="rater", max_chars=60).strip()
    if not rater:
        st.info("Say who judges, by any name: choices of several people are told apart by it.")
        return
    asked = questions(release, [chosen[key] for key in PLACE], chosen["subject"], rater)
    if not asked:
        st.info("The pictures that were seen may not be shown, so that nothing can be judged.")
        return
    of = (release.label, *chosen.values(), rater)
    kept: dict[tuple[str, ...], list[dict[str, str]]] = st.session_state.setdefault(_KEPT, {})
    own = kept.setdefault(of, [])
    if len(own) < len(asked):
        st.caption(f"{len(own) + 1} of {len(asked)}")
        _ask(asked[len(own)], own, _words(release, chosen, rater))
    else:
        st.success("All are judged.")
    if own:
        st.download_button(
            "Download choices",
            choices_csv(own),
            file_name="choices.csv",
            mime="text/csv",
            icon=":material/download:",
        )


def _words(release: Release, chosen: dict[str, str], rater: str) -> dict[str, str]:
    return {"release": release.label, **chosen, "rater": rater}


def _ask(question: Question, own: list[dict[str, str]], words: dict[str, str]) -> None:
    with st.container(width=_WIDTH):
        st.html(_row(_image(question.made, "reconstruction")))
        words_of = zip(("left", "right"), question.shown, strict=True)
        st.html(_row(*(_image(png, word) for word, (_, png) in words_of)))
        with st.container(horizontal=True):
            for word, (name, _) in zip(("Left", "Right"), question.shown, strict=True):
                # A second click before the page is drawn again answers the same question, not the
                # next: each has buttons of its own, which the arrows press wherever the focus is.
                key, asked = f"judge-{len(own)}-{word}", len(own)
                args = (own, asked, question, name, words)
                st.button(word, key=key, on_click=_take, args=args, width="stretch", shortcut=word)


def _take(
    own: list[dict[str, Any]], asked: int, question: Question, name: str, words: dict[str, str]
) -> None:
    if len(own) != asked:
        return
    of = {"source": question.source, "stimulus": question.stimulus, "other": question.other}
    own.append(words | of | {"chosen": name})


def _row(*images: str) -> str:
    return f'<div style="{_ROW}">{"".join(images)}</div>'


def _image(png: bytes, word: str) -> str:
    data = b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{word}" style="{_IMAGE}">'

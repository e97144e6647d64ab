import streamlit as st  # noqa: D100 - see unitdb/browser

from unitdb.browser import SCRIPT, middleware, routes

app = st.App(SCRIPT, routes=routes(), middleware=middleware())

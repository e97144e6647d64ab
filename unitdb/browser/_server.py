"""What `unitdb app` hands to Streamlit: the pages, and the addresses that serve files."""

import streamlit as st

from unitdb.browser import SCRIPT, middleware, routes

app = st.App(SCRIPT, routes=routes(), middleware=middleware())

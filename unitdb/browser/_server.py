"""What `unitdb app` hands to Streamlit: the pages, and the addresses that serve files."""

from pathlib import Path

import streamlit as st

from unitdb.browser._downloads import routes

app = st.App(Path(__file__).with_name("_script.py"), routes=routes())

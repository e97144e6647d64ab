"""What Streamlit runs for each reader."""

from unitdb.browser import main

main()

"""What `unitdb app` hands to Streamlit."""

from unitdb.browser import main

main()

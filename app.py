from unitdb.browser import main  # noqa: D100 - streamlit would print a docstring on the page

main()

"""Sections of ``docs/results.md``, one a module, as ``docs/results.py`` prints them."""

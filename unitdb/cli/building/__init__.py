"""Commands of the building side: the one place of the command line that leads there, when run."""

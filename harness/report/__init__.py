"""From a stored run to a table in the terminal, CSV, markdown, figures and one self-contained page.

`python -m harness.report RUN [OTHER ...]` remakes all of it from what was stored; nothing is scored again.
"""

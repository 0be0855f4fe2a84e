"""Published tables beside ours: what is declared in tables.json, published.csv and causes.csv is made and judged here.

`python -m harness.reproduce [TABLE ...]`; `recipes` reads the declarations, `compare` makes one row for each figure.
"""

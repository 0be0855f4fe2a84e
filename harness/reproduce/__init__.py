"""Published tables compared with ours: what tables.json, published.csv and causes.csv declare is made and judged here.

`python -m harness.reproduce [TABLE ...]`; `recipes` reads the declarations, `compare` makes one row for each value.
"""

"""From a stored run to statistics: populations, the record of each statistic, sampling error, ensembles.

Knows no files and no figures; `harness.report` writes what is computed here.
"""

"""The tables of HNAS's four metrics (Shu et al. 2022, arXiv 2201.09785), from scores: `python -m harness.reproduce.hnas`.

The metrics are proxies (`harness.proxies`), the search is a method of `harness.search`; here they are put beside each
other, beside test errors, and beside the errors of other datasets.
"""

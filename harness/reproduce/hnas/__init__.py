"""The tables of HNAS's four metrics (Shu et al. 2022, arXiv 2201.09785): `python -m harness.reproduce.hnas`.

The metrics are proxies (`harness.proxies`), the search is a method of `harness.search`; here stored scores are compared
with each other, with test errors, and with the errors of other datasets.
"""

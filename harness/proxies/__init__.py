"""The zero-cost proxies: one file each, or one per family where the formulas are siblings.

A proxy is a function that reads a `Probe` and returns one score per architecture, (archs,), larger is better. The
decorator `proxy` gives it its facts; the function's name is the name everywhere (command line, store, table).
"""

"""Search methods, simulated on a table: `python -m harness.search` compares them.

A method is a function of a task (what may be queried) and of draws (random numbers, a stream for each run). It advances
all runs in lockstep, as arrays, and returns the queries of each run, in order. A new one is a function in a file here
and a line in `methods.METHODS`; its keyword arguments are its settings, their defaults the published ones.
"""

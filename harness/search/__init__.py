"""What picks an architecture: search methods, simulated on a table. `python -m harness.search` compares them.

A method is a function of a task (what may be asked) and of draws (random numbers, a stream for each run). It advances
all runs in lockstep, as arrays, and returns what each run asked for, in order. A new one is a function in a file here
and an entry in `methods.METHODS`; its keyword arguments are its settings, their defaults the published ones.
"""

"""Scores that this project computed and keeps: for analyses without a day of computing.

`python -m harness.cached` lists the sets. A set holds the scores of one run and has the name of its folder in
results/tables, where the statistics of each proxy are. It is a compressed text file: a line of JSON that says how the
scores were made, then CSV with a column `arch` and one for each proxy. Accuracies of the benchmarks are not ours to
distribute, so a set has none. Counts of the architecture are made where scores are judged.
"""

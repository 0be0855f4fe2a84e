"""Scores that this project computed and keeps, for whoever needs scores and not a day of computing them.

`python -m harness.cached` lists the sets. A set is what one run scored, called like its folder in results/tables, which
says how well each proxy did. It is one text file, compressed: a line of JSON with where the scores come from, then CSV
with a column `arch` and one for each proxy. The accuracies are not in it: those of the benchmarks are not ours to give.
Counts of the architecture (params, flops, layers) are not either: they are made anew wherever scores are judged.
"""

"""What one candidate operation on one edge of a supernet is worth, and how well such scores can be trusted.

`python -m harness.operations` compares them on a benchmark. An operation score is an array (edges, operations), larger
is better; docs/operations.md has the words and formulas.
"""

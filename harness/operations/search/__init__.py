"""Searches over a supernet: their records, how each is carried out, and what it found."""

"""A run: its settings, what they come to, the scoring, and what is stored."""

"""Supernets: masks, training by DARTS, checkpoints, evaluation."""

"""Crash-safe folders of results."""

"""Where files come from, downloading, and crash-safe writing."""

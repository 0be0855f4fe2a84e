"""The version of this project, as results record it."""

VERSION = "0.1.0"

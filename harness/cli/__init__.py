"""The command lines: a parser and what it starts, one file a command. No library is imported before it is needed."""

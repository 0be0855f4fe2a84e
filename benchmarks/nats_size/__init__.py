"""NATS-Bench's size space: one cell, 32,768 choices of channels."""

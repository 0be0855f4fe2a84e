"""Architectures x proxies -> scores, in this process or in many; knows no accuracy."""

"""MobileNet-like spaces."""

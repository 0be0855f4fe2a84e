"""All that looks at a network: views, initialisation, hooks and observers, the shared passes, what proxies read."""

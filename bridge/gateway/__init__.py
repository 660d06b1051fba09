"""The gateway: one process an account, the only one that sends orders. `python -m bridge.gateway` runs it."""

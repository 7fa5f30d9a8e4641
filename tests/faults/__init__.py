"""Faults injected for real; README.md says which test meets which."""

"""Magnitude-Aware CLIP."""

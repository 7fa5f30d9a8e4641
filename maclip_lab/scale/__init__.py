"""Millions of pictures: parts, and the run over processes or a cluster."""

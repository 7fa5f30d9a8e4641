"""What is written, where it lies, and what stands beside it."""

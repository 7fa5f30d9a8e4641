"""What a file's header says, held against what its decoder does with it."""

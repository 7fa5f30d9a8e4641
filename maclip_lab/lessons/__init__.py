"""What only a notebook imports: claims, exercises, the explorer, a data set by name."""

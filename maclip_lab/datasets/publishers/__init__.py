"""One short adapter for each of the nine data sets, as its publisher ships it."""

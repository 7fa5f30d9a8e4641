"""What the ablations compute: settings swept over stored features, and the study of a data set."""

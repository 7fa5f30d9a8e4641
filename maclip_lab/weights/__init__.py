"""From a backbone's name to a verified file to tensors."""

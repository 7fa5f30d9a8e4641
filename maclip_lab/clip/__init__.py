"""CLIP: model, tokenizer, weights."""

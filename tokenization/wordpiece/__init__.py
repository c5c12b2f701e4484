"""BERT's tokenizer: basic tokens, then WordPieces."""

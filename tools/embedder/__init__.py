"""Training record, export and measurement of the embedder that is shipped with the sample."""

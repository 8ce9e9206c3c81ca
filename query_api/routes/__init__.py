"""One module per resource: question in, read model out."""

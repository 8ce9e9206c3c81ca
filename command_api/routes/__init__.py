"""One module per resource: body in, command, response out."""

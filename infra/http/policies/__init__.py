"""What an operator decides about all requests of a service: which pages and hosts may be used, what is compressed."""

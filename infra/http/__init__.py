"""What both HTTP services share: errors, authentication, middleware, health, metrics."""

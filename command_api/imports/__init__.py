"""A client: brings a partner's file of orders in through the batch endpoint."""

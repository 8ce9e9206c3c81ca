"""`harbor-orders import`: create the orders of a file through the batch endpoint."""

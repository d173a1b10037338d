"""Shapes: what an endpoint is sent, from the facts that it is owed to the requests that tell it."""

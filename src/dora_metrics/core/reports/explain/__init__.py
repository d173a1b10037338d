"""Explains why a fact counts as it does, with the facts and rules behind it (`compute --explain`)."""

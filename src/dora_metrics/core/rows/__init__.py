"""Judged rows for warehouses: one table a kind, so that SQL only counts, divides and orders."""

"""Judged rows for warehouses: a table for each kind, so that SQL only counts, divides and orders."""

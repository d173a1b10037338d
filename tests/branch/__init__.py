"""Runs with a ledger on a branch of a GitHub of our own."""

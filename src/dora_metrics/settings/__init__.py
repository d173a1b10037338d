"""Inputs, flags and the config file as one checked model."""

"""Incidents of other systems, from any API that answers with JSON."""

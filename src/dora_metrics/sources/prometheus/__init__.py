"""The history of alerts in Prometheus as incidents: what fired when, from the series `ALERTS`."""

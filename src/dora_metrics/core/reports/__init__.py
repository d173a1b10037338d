"""Numbers as text: summary, reports, page, Prometheus."""

"""Where metrics are sent. A failing sink returns an outcome, which the summary shows and the exit code considers."""

"""What numbers are compared with: benchmarks, goals and thresholds."""

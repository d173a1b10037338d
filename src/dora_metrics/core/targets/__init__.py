"""What numbers are held against: benchmarks, goals, thresholds."""

"""Where metrics go. A sink that fails is a value, shown in the summary and judged once, at the end."""

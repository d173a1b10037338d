"""Reports that come by themselves: of a week, a month, a quarter; what they say, and how they fit into an issue."""

"""The metrics of a window: calculated, by week, compared and diagnosed."""

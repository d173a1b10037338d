"""The numbers: of a window, by week, compared, explained."""

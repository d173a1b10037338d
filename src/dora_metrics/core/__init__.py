"""The pure part: no clock, environment, disk, network or logging. `now` is an argument."""

"""What an event of GitHub says, as facts."""

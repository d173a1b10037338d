"""What a user can type, one file each."""

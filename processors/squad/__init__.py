"""Questions with their contexts -> examples -> windows."""

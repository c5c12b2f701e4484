"""Machines that train together: which they are, and how they know of each other."""

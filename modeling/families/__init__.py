"""Families of encoders: what differs between them, a file each, as data.

A new family is a file with a `Family` in it, and its entry in `registry.FAMILIES`.
"""

"""Answers from exports."""

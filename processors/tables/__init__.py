"""Delimited files and JSON lines -> examples; GLUE and XNLI as declarations."""

"""From a command line to one call: flag definitions, their checks, and errors as one line. Imports no TensorFlow."""

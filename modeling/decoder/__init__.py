"""What writes: layers that attend to what an encoder has read, and the search for the text they give.

R is the number of texts that are written at a time, U the tokens written of each.
"""

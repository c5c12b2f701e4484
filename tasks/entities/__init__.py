"""Token classification: a tag for each word, entities as spans of words."""

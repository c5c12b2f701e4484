"""The protocols that a server speaks, each with the paths and forms of its own."""

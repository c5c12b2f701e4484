"""How fast, and in how much memory, against a peer and against upstream's way: `python -m benchmarks --help`.

__main__, registry          what there is to measure, and the command
rounds, worker, protocol    each side is a process that loads once; rounds alternate between the sides
summary, header             values -> ratios -> a table
ours/                       what the project does
peer/                       Hugging Face on PyTorch, in an environment of its own (scripts/setup peer)
engines/                    other engines on the same weights, likewise (scripts/setup engines)
upstream/                   google-research/bert's way, written anew
"""

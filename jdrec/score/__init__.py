"""Scores of a whole table with a trained run's model, ranked: the best products of each user, the best users of each product.

source (rows and their features, chunk by chunk) ─▶ parts (scores, a file a chunk) ─▶ ranking (lists)

One concept a file; `run` is task=score.
"""

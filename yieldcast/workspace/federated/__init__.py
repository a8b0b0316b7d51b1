"""Several owners train one model: rounds of federated averaging through Flower.

Each owner keeps a workspace of their own. Weights and scores travel; tiles, rows and labels stay.
"""

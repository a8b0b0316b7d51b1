"""Pretrained encoders: pixel series to embeddings.

In come pixel series (`presto_inputs`) or arrays (`embedding.read_inputs`); out go embeddings. This package
imports `pixels` and below.
"""

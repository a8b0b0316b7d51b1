"""What grows where: pixel series to embeddings, classes and maps.

In come series of satellite and weather observations of single pixels; out go embeddings by a pretrained
encoder (`presto`, `embedding`). This package imports `data` and below.
"""

"""A workspace: models of others come to the owner's data, are trained and scored there, and data stay.

The commands are ``yieldcast workspace ...``. This package needs the extra ``workspace``; the rest of
yieldcast works without it.
"""

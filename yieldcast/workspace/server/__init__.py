"""The server of a workspace: JSON under ``/api/v1``, pages, sign-in and limits.

`yieldcast.workspace.server.app.create_app` makes it; ``yieldcast workspace serve`` runs it.
"""

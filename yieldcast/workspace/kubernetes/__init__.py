"""Submissions as Jobs of a Kubernetes cluster, through its official client."""

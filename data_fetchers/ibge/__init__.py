"""ibge."""

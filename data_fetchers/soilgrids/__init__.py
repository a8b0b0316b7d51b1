"""soilgrids."""

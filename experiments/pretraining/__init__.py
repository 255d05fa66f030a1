"""The frozen parts of the small scales: trained here from scratch in the world, or extracted from a package."""

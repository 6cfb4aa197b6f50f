"""Argo CD: health, actions and links of the platform's objects."""

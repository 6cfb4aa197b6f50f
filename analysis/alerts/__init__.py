"""Alerts of an Alertmanager as signals: received, kept until they are resolved or too old, mapped to what we know."""

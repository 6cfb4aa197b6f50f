"""The driver: brings the shop up, breaks it, follows the incident's objects as they change, and says how it ended."""

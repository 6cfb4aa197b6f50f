"""What happened before: incidents, reports, plans, changes and full timelines, beyond the life of their objects."""

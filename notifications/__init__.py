"""Tells people: Slack, Teams, webhooks, PagerDuty and mail, through an outbox that survives restarts."""

"""Tells people: Slack, webhooks, PagerDuty and mail, through an outbox that survives restarts."""

"""Policy: says for each ActionPlan how much say a person has, asks for the approval, and keeps the plan's state."""

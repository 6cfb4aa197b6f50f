"""What each identity may do: roles per ServiceAccount, admission policies, and how they become chart templates."""

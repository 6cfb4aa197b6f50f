"""What each identity may do: one file of roles per ServiceAccount, the admission policies, and how they become chart templates."""

"""Who may call which path: one table; identities by TokenReview or shared secret, never by a header."""

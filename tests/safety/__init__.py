"""What nobody may do, asked of a real API server: `make safety` prints the matrix (invariants S1 to S6)."""

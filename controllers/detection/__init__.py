"""Detection: asks the analysis server what is wrong now, and keeps one Incident per fault, neither more nor less."""

"""The plan executed: processes, collectives, the byte ledger, memory."""

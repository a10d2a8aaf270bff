"""What is killed in the middle: workers, the whole gateway, the database. The ledger must know every answer all the same."""

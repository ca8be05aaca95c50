"""The space's own work: what gateways send, taken in."""

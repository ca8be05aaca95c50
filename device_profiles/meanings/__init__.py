"""What a measurement means, one module for each family of devices: from its bytes to Readings."""

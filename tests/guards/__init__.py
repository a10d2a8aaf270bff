"""What guards promise."""

"""What is ranked: one adapter per benchmark."""

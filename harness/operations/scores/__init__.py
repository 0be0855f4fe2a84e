"""Operation scores: their records, and the functions that compute them."""

"""Training: recipes as data, one clear step, the loop, exact resume (sections 4.3 and 5)."""

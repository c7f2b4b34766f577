"""Static and dynamic fields: hash grids and small networks."""

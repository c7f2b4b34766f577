"""Image and mask metrics, and the named protocols that apply them."""

"""Rendered features to objects: k-means, elbow, merge, saliency vote, label maps."""

"""Fully connected CRF over the pixels of a view (Krähenbühl and Koltun 2011)."""

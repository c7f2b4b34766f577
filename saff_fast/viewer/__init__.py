"""A page in the browser that shows a run from any camera at any time, and edits its objects and camera paths."""

"""The page that shows every prior of a prepared scene, and says in words what looks wrong."""

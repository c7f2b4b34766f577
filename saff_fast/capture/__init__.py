"""What users bring: videos, folders of pictures, and captures with cameras, all read as frames in the order of time."""

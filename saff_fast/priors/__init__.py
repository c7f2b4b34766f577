"""Pictures to priors: poses, depth, optical flow, motion masks, semantic features and saliency."""

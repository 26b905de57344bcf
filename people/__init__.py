"""Values without networks: keypoints, skeletons, boxes, crops, prompts, synthetic people."""

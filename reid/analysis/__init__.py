"""What a network does and costs: saliency, pictures of an evaluation, size and speed."""

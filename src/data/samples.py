"""The sample contract: what a pair is on its way from the files to a batch, and what a batch is."""
import collections

Sample = collections.namedtuple('Sample', 'image_a image_b flow valid name')
Sample.__doc__ = """An image pair with its true flow.

image_a, image_b: uint8 (H, W, 3), BGR.
flow: float32 (H, W, 2), u to the right and v downwards in pixels of image_a: A(x, y) is seen at B(x + u, y + v).
valid: bool (H, W), False where the flow is unknown; the flow is 0 there.
name: where it comes from, for messages.
"""

Batch = collections.namedtuple('Batch', 'image_a image_b flow valid')
Batch.__doc__ = """Samples on top of each other: uint8 [N, H, W, 3] twice, float32 [N, H, W, 2], bool [N, H, W]."""

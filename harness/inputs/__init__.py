"""The minibatch that every architecture is scored on: real images, Gaussian noise or ones; normalised, seeded.

`draw.minibatches` is what the engine calls; `draw.load_images` reads a set of images.
"""

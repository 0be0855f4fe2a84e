"""How ground truth is trained: the recipe, one stack of architectures, the folder of the work."""

"""SynthCrowd: crowds rendered from a seed, with all that is true about them."""

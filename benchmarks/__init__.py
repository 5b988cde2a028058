"""What the library costs, as ratios: ``make bench``."""
